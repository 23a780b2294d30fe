/** The whole system over real sockets, and the log of its proxy. */
import { createLogger } from '../../src/telemetry/logging.ts'
import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'

export interface System extends Sandbox {
  /** Lines so far, as they were written. */
  readonly log: string[]
  /** May pull every image of QCI that is not restricted. */
  readonly alice: string
}

const rbac = ['manifests/rbac', 'manifests/examples']

export const startSystem = async (flags: readonly string[] = []): Promise<System> => {
  const log: string[] = []
  const logger = createLogger('trace', { write: (line) => void log.push(line) })
  const sandbox = await startSandbox({ logger, rbac, port: 0, flags: ['--grace-period=0s', ...flags] })
  const alice = sandbox.kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  return { ...sandbox, log, alice }
}

/** Lets a service account pull the images of a namespace. */
export const pullerBinding = (namespace: string, account: { namespace: string; name: string }) =>
  ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'fuzz', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  }) as KubernetesObject

export const acceptAll = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')
