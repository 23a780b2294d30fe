/**
 * The pulls that the sandbox shows, and what RBAC says about each of them.
 */
import { createRestrictedNamespaces } from '../access/restricted-namespaces.ts'
import { flags } from '../config/flags.ts'
import type { KubernetesApi } from './app-ci/kubernetes-api.ts'

export interface SampleImage {
  readonly repository: string
  readonly tag: string
  /** The namespace that the image belongs to. */
  readonly namespace: string
}

export const sampleImages: readonly SampleImage[] = [
  { repository: 'ocp/4.5', tag: 'base', namespace: 'ocp' },
  { repository: 'my-team/app', tag: 'latest', namespace: 'my-team' },
  { repository: 'ocp-priv/4.5', tag: 'embargoed', namespace: 'ocp-priv' },
]

export const qciNamespace = flags.qciNamespace.fallback
const { restrictedNamespaces } = flags
export const isRestricted = createRestrictedNamespaces(
  restrictedNamespaces.parse(restrictedNamespaces.fallback)!,
)

/** Whether the rule of the proxy for a tag, as README has it, lets this token pull the image. */
export const mayPull = (
  kubernetes: Pick<KubernetesApi, 'mayPull'>,
  token: string,
  { repository, namespace }: SampleImage,
): boolean => {
  const name = repository.slice(namespace.length + 1)
  const [isQciWide, isGranted] = kubernetes.mayPull(token, [{ namespace: qciNamespace }, { namespace, name }])
  return (isQciWide === true && !isRestricted(namespace)) || isGranted === true
}
