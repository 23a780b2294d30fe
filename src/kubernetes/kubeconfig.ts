/**
 * Where app.ci is, and who we are to it: a kubeconfig, or the service account of the pod.
 */
import { KubeConfig, loadYaml } from '@kubernetes/client-node'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Where a pod finds who it is. https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const podToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/**
 * @param file a kubeconfig; undefined for the service account of the pod
 * @param root where the pod's files are, below
 * @throws {Error} with a message for the operator, never holding the content
 */
export const loadKubeConfig = (file: string | undefined, root = ''): KubeConfig => {
  const kubeConfig = new KubeConfig()
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
  if (cluster.server.startsWith('http:') && cluster.skipTLSVerify !== true)
    throw new Error(`--kubeconfig: ${file} has a cluster on plain http without insecure-skip-tls-verify`)
  readFilesOf(kubeConfig, file)
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
