/**
 * The credential of a kubeconfig whose user is an `exec` plugin (`aws eks get-token`, `gcloud`, `oc`): one run of the plugin for all
 * requests (single-flight), and the next one before the credential expires or after a 401.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
import type { KubeConfig, User } from '@kubernetes/client-node'
import { runPlugin, type Credential, type PluginCredential, type PluginRunOptions } from './exec-plugin.ts'

export interface ExecCredentialOptions extends PluginRunOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

type Authenticator = Parameters<KubeConfig['addAuthenticator']>[0]
type RequestOptions = Parameters<KubeConfig['applyToHTTPSOptions']>[0]

interface CachedCredential {
  readonly credential: Credential
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  readonly renewAt: number
}

/** A credential is renewed so many milliseconds before it expires, or a fifth of its life if that is less. */
const marginMs = 60_000
/** Milliseconds without a further run, after the plugin has failed or its credential was refused. */
const pauseMs = 2000

export class ExecCredential implements Authenticator {
  readonly #options: ExecCredentialOptions
  readonly #now: () => number
  #cached: CachedCredential | undefined
  #running: Promise<CachedCredential> | undefined
  #failed: { readonly error: unknown; readonly until: number } | undefined
  #renewedAt = -Infinity
  /** Counts credentials, so that a refused request can say which one it was sent with. */
  generation = 0

  constructor(options: ExecCredentialOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  isAuthProvider(): boolean {
    return true
  }

  /** @throws {Error} with the name of a plugin that failed, and nothing of its output */
  async applyAuthentication(_user: User, options: RequestOptions): Promise<void> {
    const { credential } = await this.#current()
    const { headers, ...rest } = credential
    Object.assign(options, rest, { headers: { ...options.headers, ...headers } })
  }

  /** The API server refused a credential. @param generation of that credential */
  refused(generation: number): void {
    const isNew = generation === this.generation && this.#cached !== undefined
    // Attack, or a mistake: a plugin whose credential is never accepted would be run for each request.
    if (!isNew || this.#now() - this.#renewedAt < pauseMs) return
    this.#renewedAt = this.#now()
    this.#cached = undefined
  }

  async #current(): Promise<CachedCredential> {
    const cached = this.#cached
    const time = this.#now()
    if (cached !== undefined && time < cached.renewAt) return cached
    if (cached !== undefined && time < cached.expiresAt) {
      // It is still valid: no request waits for the renewal, or fails with it.
      this.#share().catch(() => undefined)
      return cached
    }
    return await this.#share()
  }

  /** All requests share one run. Not single-flight.ts: there is one key, and no requester. */
  async #share(): Promise<CachedCredential> {
    if (this.#failed !== undefined && this.#now() < this.#failed.until) throw this.#failed.error
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return await this.#running
  }

  async #run(): Promise<CachedCredential> {
    try {
      const cached = cachedOf(await runPlugin(this.#options), this.#now())
      this.#cached = cached
      this.#failed = undefined
      this.generation += 1
      return cached
    } catch (error) {
      this.#failed = { error, until: this.#now() + pauseMs }
      throw error
    }
  }
}

const cachedOf = ({ credential, expires }: PluginCredential, time: number): CachedCredential => {
  const expiresAt = expires === undefined ? Infinity : Date.parse(expires)
  // An end that cannot be parsed: the credential is renewed soon.
  const end = Number.isNaN(expiresAt) ? time + marginMs : expiresAt
  return { credential, expiresAt: end, renewAt: end - Math.min(marginMs, (end - time) / 5) }
}
