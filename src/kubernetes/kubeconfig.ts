/**
 * The address of app.ci and the credential of the proxy there: from a kubeconfig, or from the service account of the pod.
 */
import { KubeConfig, loadYaml, type Cluster, type RequestContext, type User } from '@kubernetes/client-node'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import ipaddr from 'ipaddr.js'
import { ExecCredential } from './exec-credential.ts'
import type { ExecPlugin } from './exec-plugin.ts'
import { onResponse } from './on-response.ts'

/** The token of the pod's service account. @see https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const podToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** The part of a kubeconfig that `createApiServer` needs. */
export type Credentials = Pick<KubeConfig, 'getCurrentCluster' | 'applySecurityAuthentication'> & {
  /** Whether to retry a request that was answered 401, because the credential may have been renewed. */
  readonly canRenew?: boolean
}

/**
 * The kubeconfig of client-node, for reviews, lists and watches. It follows no redirect, and runs `exec` plugins with a deadline.
 *
 * Attack: a server at the API server's address answers 307, so that the review goes on to the attacker with the client's token in its
 * body, and the attacker answers it.
 */
export class AppCiKubeConfig extends KubeConfig {
  /** How the program names itself to the API server: its audit log tells clients apart by that. */
  userAgent: string | undefined
  #exec: ExecCredential | undefined

  /** Warnings for the operator, one line each. */
  get warnings(): readonly string[] {
    const { server, skipTLSVerify } = this.getCurrentCluster() as Cluster
    const { protocol, hostname } = new URL(server)
    if (protocol === 'https:')
      return skipTLSVerify === true
        ? [
            'the kubeconfig has insecure-skip-tls-verify: whoever stands between may decide who pulls what; give it certificate-authority-data instead',
          ]
        : []
    return isLoopback(hostname)
      ? []
      : [
          'the kubeconfig has an API server on plain http: tokens of all clients go there in clear, and whoever stands between may decide who pulls what; use https',
        ]
  }

  get canRenew(): boolean {
    return this.#exec !== undefined
  }

  /** Takes the credential of the current user from the plugin. */
  runPlugin(plugin: ExecPlugin, cluster: Cluster | undefined): void {
    const user = this.getCurrentUser() as User
    this.#exec = new ExecCredential({ plugin, cluster })
    this.addAuthenticator(this.#exec)
    // Otherwise client-node's own authenticator would run the plugin.
    Object.assign(user, { exec: undefined, token: undefined })
  }

  override createDispatcherOptions(...[cluster, options]: Parameters<KubeConfig['createDispatcherOptions']>) {
    // A kubeconfig without TLS options would get the global dispatcher, whose responses must not be intercepted.
    return super.createDispatcherOptions(cluster, { rejectUnauthorized: true, ...options })
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context)
    if (this.userAgent !== undefined) context.setHeaderParam('User-Agent', this.userAgent)
    const dispatcher = context.getDispatcher()
    if (dispatcher === undefined) throw new Error('client-node returned no connection pool')
    context.setDispatcher(
      dispatcher.compose(
        onResponse(() => {
          const generation = this.#exec?.generation ?? 0
          return (status) => {
            if (status >= 300 && status < 400)
              throw new Error(`it answered ${status}: a redirect of the API server is not followed`)
            if (status === 401) this.#exec?.refused(generation)
          }
        }),
      ),
    )
  }
}

/**
 * @param file a kubeconfig; undefined for the service account of the pod
 * @param root directory that the paths of the pod's files are below
 * @throws {Error} with a message for the operator that quotes nothing of the file
 */
export const loadKubeConfig = (file: string | undefined, root = ''): AppCiKubeConfig => {
  const kubeConfig = new AppCiKubeConfig()
  if (file === undefined) {
    if (!existsSync(root + podToken))
      throw new Error('--kubeconfig is missing: outside of a pod it names the API server of app.ci')
    kubeConfig.loadFromCluster(root)
    return kubeConfig
  }
  try {
    kubeConfig.loadFromFile(file)
    adoptTokenFile(kubeConfig, file)
  } catch {
    // Attack: the parser's own message quotes lines of the file, which contains a credential.
    throw new Error(`--kubeconfig: ${file} is not a valid kubeconfig`)
  }
  const cluster = kubeConfig.getCurrentCluster()
  if (cluster === null) throw new Error(`--kubeconfig: ${file} has no current-context with a cluster`)
  if (!/^https?:$/.test(URL.parse(cluster.server)?.protocol ?? ''))
    throw new Error(`--kubeconfig: ${file} has a cluster whose server is no http or https URL`)
  if (cluster.server.startsWith('http:') && cluster.skipTLSVerify !== true)
    throw new Error(`--kubeconfig: ${file} has a cluster on plain http without insecure-skip-tls-verify`)
  readFilesOf(kubeConfig, file)
  adoptPlugin(kubeConfig, cluster, file)
  return kubeConfig
}

/** client-node reads `tokenFile` only in a pod, again every minute. It takes precedence over `token`, as with kubectl. */
const adoptTokenFile = (kubeConfig: KubeConfig, file: string): void => {
  const user = kubeConfig.getCurrentUser()
  const { users } = loadYaml<{ users?: { name: string; user?: { tokenFile?: string } }[] }>(
    readFileSync(file, 'utf8'),
  )
  const tokenFile = users?.find(({ name }) => name === user?.name)?.user?.tokenFile
  if (user === null || !tokenFile) return
  const authProvider = { name: 'tokenFile', config: { tokenFile: resolve(dirname(file), tokenFile) } }
  Object.assign(user, { token: undefined, authProvider })
}

/** A plugin is used only if there is no other credential, as with kubectl. */
const adoptPlugin = (kubeConfig: AppCiKubeConfig, cluster: Cluster, file: string): void => {
  const user = kubeConfig.getCurrentUser()
  const exec = user?.exec as (Partial<ExecPlugin> & Record<string, unknown>) | null | undefined
  if (!exec || user?.token || user?.authProvider) return
  const { command, apiVersion = '' } = exec
  if (typeof command !== 'string' || command === '')
    throw new Error(`--kubeconfig: ${file} has an exec plugin without a command`)
  if (!/^client\.authentication\.k8s\.io\/v1(?:beta1)?$/.test(apiVersion))
    throw new Error(
      `--kubeconfig: ${file} has an exec plugin of an apiVersion that is not known; client.authentication.k8s.io/v1 is`,
    )
  if (exec['interactiveMode'] === 'Always')
    throw new Error(
      `--kubeconfig: ${file} has an exec plugin that wants to ask somebody (interactiveMode: Always), and nobody is there; use a token or a service account`,
    )
  // A path is relative to the kubeconfig, as with kubectl.
  const path = command.includes('/') ? resolve(dirname(file), command) : command
  const plugin = { ...exec, command: path, apiVersion }
  kubeConfig.runPlugin(plugin, exec['provideClusterInfo'] === true ? cluster : undefined)
}

/** client-node reads the files for each request: an unreadable file would look like an API server that does not answer. */
const readFilesOf = (kubeConfig: KubeConfig, file: string): void => {
  const user = kubeConfig.getCurrentUser()
  const named = {
    'certificate-authority': kubeConfig.getCurrentCluster()?.caFile,
    'client-certificate': user?.certFile,
    'client-key': user?.keyFile,
    tokenFile: user?.authProvider?.config?.tokenFile as string | undefined,
  }
  for (const [name, path] of Object.entries(named)) {
    try {
      if (path) readFileSync(path)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      throw new Error(`--kubeconfig: ${file} names ${path} as ${name}, which cannot be read (${code})`, {
        cause: error,
      })
    }
  }
}

const isLoopback = (hostname: string): boolean => {
  const address = hostname.replace(/^\[|\]$/g, '')
  return (
    address === 'localhost' || (ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback')
  )
}
