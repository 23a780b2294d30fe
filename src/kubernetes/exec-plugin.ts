/**
 * One run of an `exec` plugin of a kubeconfig.
 *
 * ExecAuth of client-node runs the plugin and parses its output. It lets a plugin hang for ever, and quotes its output in errors: this
 * file adds a deadline, a bound on the output, and errors without a quote.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { KubeConfig, type Cluster } from '@kubernetes/client-node'

export interface ExecPlugin {
  readonly command: string
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value: string }[]
  readonly apiVersion: string
  readonly installHint?: string
}

export interface PluginRunOptions {
  readonly plugin: ExecPlugin
  /** Is described to the plugin, if the plugin asks for that. */
  readonly cluster?: Cluster | undefined
  /** Milliseconds for one run. */
  readonly deadlineMs?: number
}

type Authenticator = Parameters<KubeConfig['addAuthenticator']>[0]
type RequestOptions = Parameters<KubeConfig['applyToHTTPSOptions']>[0]
export type Credential = Pick<RequestOptions, 'headers' | 'cert' | 'key'>

export interface PluginCredential {
  readonly credential: Credential
  /** As the plugin wrote it; undefined if it named no end. */
  readonly expires: string | undefined
}

/** Longer than a login over the network takes, shorter than any client waits for one. */
const defaultDeadlineMs = 10_000
const maxOutputBytes = 1024 * 1024
/** The failure of a run that has not ended. */
const unspecified = 'it failed'

/** @throws {Error} with the name of the plugin and the kind of failure, and nothing of its output */
export const runPlugin = async (options: PluginRunOptions): Promise<PluginCredential> =>
  await new PluginRun(options).run()

/** client-node does not export it: each KubeConfig has one, among its authenticators. */
interface ExecAuth extends Authenticator {
  readonly tokenCache: Readonly<Record<string, Said>>
}
interface Said {
  readonly status: Readonly<Record<string, unknown>>
}
const createExecAuth = (): ExecAuth => {
  const { authenticators } = new KubeConfig() as unknown as { authenticators: readonly ExecAuth[] }
  return authenticators.find((one) => one.isAuthProvider({ name: 'plugin', exec: {} })) as ExecAuth
}

class PluginRun {
  readonly #options: PluginRunOptions
  readonly #execAuth = createExecAuth()
  readonly #stopped = Promise.withResolvers<never>()
  #child: ChildProcess | undefined
  #outputBytes = 0
  #failure = unspecified

  constructor(options: PluginRunOptions) {
    this.#options = options
    const execFn = (command: string, args: readonly string[] | undefined, spawnOptions: SpawnOptions) =>
      this.#spawn(command, args ?? [], spawnOptions)
    Object.assign(this.#execAuth, { execFn })
  }

  async run(): Promise<PluginCredential> {
    const { deadlineMs = defaultDeadlineMs } = this.#options
    const timer = setTimeout(() => this.#stop(`it gave no answer in ${deadlineMs / 1000} s`), deadlineMs)
    const authenticated = Promise.race([this.#authenticate(), this.#stopped.promise])
    try {
      return await authenticated.finally(() => clearTimeout(timer))
    } catch {
      // Attack: the original error contains the output of the plugin, which may be a token.
      throw this.#error()
    }
  }

  async #authenticate(): Promise<PluginCredential> {
    const { plugin, cluster } = this.#options
    const env = [...(plugin.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: infoOf(plugin, cluster) }]
    const credential: RequestOptions = { headers: {} }
    await this.#execAuth.applyAuthentication({ name: 'plugin', exec: { ...plugin, env } }, credential)
    const { token, expirationTimestamp } = (this.#execAuth.tokenCache['plugin'] as Said).status
    const isText = token === undefined || typeof token === 'string'
    if (!isText || (token ?? credential.cert) === undefined)
      throw new Error('there is neither a token nor a certificate')
    return {
      credential,
      expires: typeof expirationTimestamp === 'string' ? expirationTimestamp : undefined,
    }
  }

  #spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    // In a process group of its own, so that the processes that the plugin starts end with it.
    const child = spawn(command, args, { ...options, detached: true })
    this.#child = child
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (chunk: string) => {
        this.#outputBytes += chunk.length
        if (this.#outputBytes > maxOutputBytes) this.#stop('it wrote too much')
      })
    child.on('exit', (code, signal) => {
      if (this.#failure === unspecified) this.#failure = `it ended with ${signal ?? code}`
    })
    child.on('error', ({ code }: NodeJS.ErrnoException) => {
      this.#failure = `it cannot be started (${code})`
    })
    return child
  }

  #stop(reason: string): void {
    this.#failure = reason
    killGroup(this.#child)
    // A process that has left the group may keep a pipe open for ever: do not wait for the pipe.
    this.#stopped.reject(new Error(reason))
  }

  #error(): Error {
    const { command, installHint } = this.#options.plugin
    const failure = this.#failure
    const hint = failure.includes('ENOENT') && installHint !== undefined ? `; ${installHint}` : ''
    const said =
      failure === 'it ended with 0' ? 'it gave no ExecCredential with a token or a certificate' : failure
    return new Error(`the exec plugin ${command} of the kubeconfig failed: ${said}${hint}`)
  }
}

/** As client-go describes the cluster to a plugin. It also says that no person can answer a prompt. */
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
    // No process of the group is left.
  }
}
