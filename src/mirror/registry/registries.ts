/**
 * One client for each registry. All images share it, with its rate limit, its pauses and its tokens.
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { Rate } from '../../concurrency/token-bucket.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { RegistryClient } from './registry-client.ts'
import type { WritePermit } from './write-permit.ts'

export interface RegistriesOptions {
  readonly permit: WritePermit
  /** The robot of a repository. Undefined: anonymous. @throws {Error} if its entry in the auth file cannot be used */
  readonly credentialOf: (origin: URL, repository: string) => RobotCredential | undefined
  /** `https://` and the host unless given. */
  readonly originOf?: (host: string) => URL
  readonly rate?: Rate
  readonly clock?: Clock
  /** @param host `quay.io`. @param ms the registry gets no request for this time, because it answered 429 */
  readonly observePause?: (host: string, ms: number) => void
}

/**
 * Requests per second. Red Hat documents a few per second for each address, and the nginx of quay allows 50. If this rate is too high, a
 * 429 pauses all requests.
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
