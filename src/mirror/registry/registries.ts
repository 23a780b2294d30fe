/**
 * A client for each registry. It is one for all images, so that they share its pace, its pauses and its tokens.
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { Rate } from '../../concurrency/token-bucket.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { RegistryClient } from './registry-client.ts'
import type { WritePermit } from './write-permit.ts'

export interface RegistriesOptions {
  readonly permit: WritePermit
  /** The robot of a repository. Undefined: anonymous. @throws {Error} where the auth file has something else for it */
  readonly credentialOf: (origin: URL, repository: string) => RobotCredential | undefined
  /** `https://` and the host unless given. */
  readonly originOf?: (host: string) => URL
  readonly rate?: Rate
  readonly clock?: Clock
  /** @param host `quay.io`. @param ms for which it gets no request, since it has answered 429 */
  readonly observePause?: (host: string, ms: number) => void
}

/**
 * Red Hat speaks of a few requests a second for an address, and quay's nginx of 50. Where they are too many, its 429 pauses all of them.
 * @see https://access.redhat.com/solutions/6218921
 */
const defaultRate: Rate = { perSecond: 10, burst: 10 }

export class Registries {
  readonly #options: RegistriesOptions
  readonly #clients = new Map<string, RegistryClient>()

  constructor(options: RegistriesOptions) {
    this.#options = options
  }

  of(host: string): RegistryClient {
    const existing = this.#clients.get(host)
    if (existing !== undefined) return existing
    const { permit, credentialOf, rate = defaultRate, clock, observePause } = this.#options
    const { originOf = (name: string) => new URL(`https://${name}`) } = this.#options
    const origin = originOf(host)
    const client = new RegistryClient({
      origin,
      credentialOf: (repository) => credentialOf(origin, repository),
      permit,
      rate,
      ...(clock && { clock }),
      ...(observePause && { observePause: (ms) => observePause(host, ms) }),
    })
    this.#clients.set(host, client)
    return client
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map(async (client) => await client.close()))
  }
}
