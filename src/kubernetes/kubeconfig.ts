/**
 * Where app.ci is, and who we are to it: a kubeconfig, or the service account of the pod.
 */
import { KubeConfig, loadYaml, type Cluster, type RequestContext, type User } from '@kubernetes/client-node'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import ipaddr from 'ipaddr.js'
import { ExecCredential, type ExecPlugin } from './exec-credential.ts'
import { onResponse } from './on-response.ts'

/** Where a pod finds who it is. https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const podToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** What `createApiServer` needs of a kubeconfig. */
export type Credentials = Pick<KubeConfig, 'getCurrentCluster' | 'applySecurityAuthentication'> & {
  /** Whether a request that was answered 401 is worth another try: who we are may have been renewed. */
  readonly canRenew?: boolean
}

/**
 * client-node's, for reviews, lists and watches alike: no redirect is followed, and an `exec` plugin is run as it should be.
 *
 * Attack: whoever can answer in the API server's place sends on the request with a 307, the client's token in its body, and its
 * answer is believed.
 */
export class AppCiKubeConfig extends KubeConfig {
  #exec: ExecCredential | undefined

  /** What an operator should know about it, each in one line. */
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

  /** From now on the current user is who the plugin says. */
  runPlugin(plugin: ExecPlugin, cluster: Cluster | undefined): void {
    const user = this.getCurrentUser() as User
    this.#exec = new ExecCredential({ plugin, cluster })
    this.addAuthenticator(this.#exec)
    // Else client-node's own authenticator would take it.
    Object.assign(user, { exec: undefined, token: undefined })
  }

  override createDispatcherOptions(...[cluster, options]: Parameters<KubeConfig['createDispatcherOptions']>) {
    // A kubeconfig that says nothing of TLS would get the global dispatcher, which is not ours to watch.
    return super.createDispatcherOptions(cluster, { rejectUnauthorized: true, ...options })
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context)
    const dispatcher = context.getDispatcher()
    if (dispatcher === undefined) throw new Error('client-node gave no connection')
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
 * @param root where the pod's files are, below
 * @throws {Error} with a message for the operator, never holding the content
 */
export const loadKubeConfig = (file: string | undefined, root = ''): AppCiKubeConfig => {
  const kubeConfig = new AppCiKubeConfig()
  if (file === undefined) {
    if (!existsSync(root + podToken))
      throw new Error('--kubeconfig is missing: outside a pod it says where app.ci is')
    kubeConfig.loadFromCluster(root)
    return kubeConfig
  }
  try {
    kubeConfig.loadFromFile(file)
    adoptTokenFile(kubeConfig, file)
  } catch {
    // The parser's own message quotes lines of the file, which holds a credential.
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

/** The client knows `tokenFile` only from the pod, where it reads it again every minute. It counts before `token`, as for kubectl. */
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

/** A plugin counts only where there is no other credential, as for kubectl. */
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
  // Relative to the kubeconfig where it is a path, as for kubectl.
  const path = command.includes('/') ? resolve(dirname(file), command) : command
  const plugin = { ...exec, command: path, apiVersion }
  kubeConfig.runPlugin(plugin, exec['provideClusterInfo'] === true ? cluster : undefined)
}

/** The client reads them for each question, and what it cannot read would look like an API server that does not answer. */
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
