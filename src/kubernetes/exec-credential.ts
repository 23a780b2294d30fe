/**
 * A kubeconfig whose user is an `exec` plugin (`aws eks get-token`, `gcloud`, `oc`): one run shared by all who ask, the next one
 * before the credential expires or after a 401, and none beyond its deadline.
 *
 * client-node's ExecAuth runs it and reads what it says. It starts a run for each question that comes before the first has ended,
 * lets a plugin hang for ever, keeps a credential that was refused, and quotes what the plugin wrote: this file mends that.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { KubeConfig, type Cluster, type User } from '@kubernetes/client-node'

export interface ExecPlugin {
  readonly command: string
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value: string }[]
  readonly apiVersion: string
  readonly installHint?: string
}

export interface ExecCredentialOptions {
  readonly plugin: ExecPlugin
  /** Told to the plugin, where it asks for that. */
  readonly cluster?: Cluster | undefined
  /** Milliseconds for one run. */
  readonly deadlineMs?: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

type Authenticator = Parameters<KubeConfig['addAuthenticator']>[0]
type RequestOptions = Parameters<KubeConfig['applyToHTTPSOptions']>[0]
type Credential = Pick<RequestOptions, 'headers' | 'cert' | 'key'>

interface Kept {
  readonly credential: Credential
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  readonly renewAt: number
}

/** Longer than a login over the network takes, shorter than anybody waits for one. */
const defaultDeadlineMs = 10_000
/** Milliseconds before its end at which it is renewed, or a fifth of its life. */
const marginMs = 60_000
/** A plugin that fails, or whose credential is refused again, is not run for every question. */
const pauseMs = 2000
const maxOutputBytes = 1024 * 1024

export class ExecCredential implements Authenticator {
  readonly #options: ExecCredentialOptions
  readonly #now: () => number
  #kept: Kept | undefined
  #running: Promise<Kept> | undefined
  #failed: { readonly error: unknown; readonly until: number } | undefined
  #renewedAt = -Infinity
  /** Counts credentials: which one a request that was refused was sent with. */
  generation = 0

  constructor(options: ExecCredentialOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  isAuthProvider(): boolean {
    return true
  }

  /** @throws {Error} that says which plugin failed, and nothing of what it wrote */
  async applyAuthentication(_user: User, options: RequestOptions): Promise<void> {
    const { credential } = await this.#current()
    const { headers, ...rest } = credential
    Object.assign(options, rest, { headers: { ...options.headers, ...headers } })
  }

  /** The API server refused it. @param generation of the credential that was refused */
  refused(generation: number): void {
    const isNew = generation === this.generation && this.#kept !== undefined
    // Attack, or a mistake: a plugin whose credential is never accepted would be run for each question.
    if (!isNew || this.#now() - this.#renewedAt < pauseMs) return
    this.#renewedAt = this.#now()
    this.#kept = undefined
  }

  async #current(): Promise<Kept> {
    const kept = this.#kept
    const time = this.#now()
    if (kept !== undefined && time < kept.renewAt) return kept
    if (kept !== undefined && time < kept.expiresAt) {
      // It still holds: nobody waits for the next one, nor learns that it did not come.
      this.#share().catch(() => undefined)
      return kept
    }
    return await this.#share()
  }

  async #share(): Promise<Kept> {
    if (this.#failed !== undefined && this.#now() < this.#failed.until) throw this.#failed.error
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return await this.#running
  }

  async #run(): Promise<Kept> {
    try {
      const kept = keptOf(await runPlugin(this.#options), this.#now())
      this.#kept = kept
      this.#failed = undefined
      this.generation += 1
      return kept
    } catch (error) {
      this.#failed = { error, until: this.#now() + pauseMs }
      throw error
    }
  }
}

interface Given {
  readonly credential: Credential
  readonly expires: string | undefined
}

const keptOf = ({ credential, expires }: Given, time: number): Kept => {
  const expiresAt = expires === undefined ? Infinity : Date.parse(expires)
  // What cannot be read is no promise: it is asked for again soon.
  const end = Number.isNaN(expiresAt) ? time + marginMs : expiresAt
  return { credential, expiresAt: end, renewAt: end - Math.min(marginMs, (end - time) / 5) }
}

/** client-node does not export it: each KubeConfig has one, among its authenticators. */
interface ExecAuth extends Authenticator {
  readonly tokenCache: Readonly<Record<string, Said>>
}
interface Said {
  readonly status: Readonly<Record<string, unknown>>
}
const execAuth = (): ExecAuth => {
  const { authenticators } = new KubeConfig() as unknown as { authenticators: readonly ExecAuth[] }
  return authenticators.find((one) => one.isAuthProvider({ name: 'plugin', exec: {} })) as ExecAuth
}

const runPlugin = async (options: ExecCredentialOptions): Promise<Given> => {
  const { plugin, cluster, deadlineMs = defaultDeadlineMs } = options
  const run = execAuth()
  let child: ChildProcess | undefined
  let why = 'it failed'
  const ended = Promise.withResolvers<never>()
  const end = (reason: string) => {
    why = reason
    killGroup(child)
    // Whatever has left the group may hold its end of a pipe for ever: nobody waits for that.
    ended.reject(new Error(reason))
  }
  const execFn = (command: string, args: readonly string[] | undefined, spawnOptions: SpawnOptions) => {
    // A group of its own: what the plugin has started ends with it.
    child = spawn(command, args ?? [], { ...spawnOptions, detached: true })
    let bytes = 0
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (chunk: string) => {
        bytes += chunk.length
        if (bytes > maxOutputBytes) end('it wrote too much')
      })
    child.on('exit', (code, signal) => (why = why === 'it failed' ? `it ended with ${signal ?? code}` : why))
    child.on('error', (error: NodeJS.ErrnoException) => (why = `it cannot be started (${error.code})`))
    return child
  }
  Object.assign(run, { execFn })
  const env = [...(plugin.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: infoOf(plugin, cluster) }]
  const user = { name: 'plugin', exec: { ...plugin, env } }
  const credential: RequestOptions = { headers: {} }
  const timer = setTimeout(() => end(`it gave no answer in ${deadlineMs / 1000} s`), deadlineMs)
  const given = Promise.race([run.applyAuthentication(user, credential), ended.promise])
  try {
    await given.finally(() => clearTimeout(timer))
    const { token, expirationTimestamp } = (run.tokenCache['plugin'] as Said).status
    const isText = token === undefined || typeof token === 'string'
    if (!isText || (token ?? credential.cert) === undefined)
      throw new Error('there is neither a token nor a certificate')
    return {
      credential,
      expires: typeof expirationTimestamp === 'string' ? expirationTimestamp : undefined,
    }
  } catch {
    // Attack: its own error holds what the plugin wrote, which may be a token.
    const hint = why.includes('ENOENT') && plugin.installHint !== undefined ? `; ${plugin.installHint}` : ''
    const said = why === 'it ended with 0' ? 'it gave no ExecCredential with a token or a certificate' : why
    throw new Error(`the exec plugin ${plugin.command} of the kubeconfig did not help: ${said}${hint}`)
  }
}

/** What client-go tells a plugin about the cluster, and that nobody is there to be asked. */
const infoOf = ({ apiVersion }: ExecPlugin, cluster: Cluster | undefined): string => {
  const info =
    cluster === undefined
      ? {}
      : {
          cluster: {
            server: cluster.server,
            'certificate-authority-data': cluster.caData,
            'insecure-skip-tls-verify': cluster.skipTLSVerify,
          },
        }
  return JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { ...info, interactive: false } })
}

const killGroup = (child: ChildProcess | undefined): void => {
  for (const output of [child?.stdout, child?.stderr]) output?.destroy()
  try {
    process.kill(-(child?.pid as number), 'SIGKILL')
  } catch {
    // Nobody of the group is left.
  }
}
