/**
 * The ClusterRoles about images that every OpenShift has. Bindings on app.ci name them, but they are in no manifest. `admin`, `edit`,
 * `view` and `cluster-reader` are aggregated, as on OpenShift. Source: openshift-apiserver pkg/bootstrappolicy/policy.go; kubernetes
 * plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go
 */
import type { KubernetesObject } from './kubernetes-object.ts'

type Rule = Readonly<Record<'verbs' | 'apiGroups' | 'resources', readonly string[]>>

const apiVersion = 'rbac.authorization.k8s.io/v1'
const apiGroups = ['', 'image.openshift.io']
const readWrite = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']

const pull: Rule = { verbs: ['get'], apiGroups, resources: ['imagestreams/layers'] }
const pushAndPull: Rule = { verbs: ['get', 'update'], apiGroups, resources: ['imagestreams/layers'] }
const see: Rule = {
  verbs: ['get', 'list', 'watch'],
  apiGroups,
  resources: ['imagestreams', 'imagestreamtags'],
}
const change: Rule = { verbs: readWrite, apiGroups, resources: ['imagestreams', 'imagestreamtags'] }
const everything: Rule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }

type Sum = 'admin' | 'edit' | 'view' | 'cluster-reader'

const label = (sum: Sum): string => `rbac.authorization.k8s.io/aggregate-to-${sum}`

const role = (name: string, rules: readonly Rule[], ...partOf: readonly Sum[]): KubernetesObject => ({
  apiVersion,
  kind: 'ClusterRole',
  metadata: { name, labels: Object.fromEntries(partOf.map((sum) => [label(sum), 'true'])) },
  rules,
})

const sumOf = (name: string, parts: readonly Sum[], ...partOf: readonly Sum[]): KubernetesObject => ({
  ...role(name, [], ...partOf),
  aggregationRule: { clusterRoleSelectors: parts.map((sum) => ({ matchLabels: { [label(sum)]: 'true' } })) },
})

const bind = (name: string, ...subjects: readonly object[]): KubernetesObject => ({
  apiVersion,
  kind: 'ClusterRoleBinding',
  metadata: { name: `${name}s` },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
  subjects,
})

export const openshiftRoles: readonly KubernetesObject[] = [
  role('system:image-puller', [pull]),
  role('system:image-pusher', [pushAndPull]),
  role('system:image-builder', [pushAndPull], 'admin', 'edit'),
  role('system:image-signer', [pull]),
  role('registry-admin', [pushAndPull, change], 'admin'),
  role('registry-editor', [pushAndPull, change], 'edit'),
  // Only this aggregated role gives `view` the right to pull.
  role('registry-viewer', [pull, see], 'view'),
  role('system:openshift:aggregate-to-admin', [pushAndPull, change], 'admin'),
  role('system:openshift:aggregate-to-edit', [pushAndPull, change], 'edit'),
  role('system:openshift:aggregate-to-view', [see], 'view'),
  role('system:openshift:aggregate-to-cluster-reader', [pull], 'cluster-reader'),
  sumOf('admin', ['admin']),
  sumOf('edit', ['edit'], 'admin'),
  sumOf('view', ['view'], 'edit'),
  sumOf('cluster-reader', ['cluster-reader', 'view']),
  role('cluster-admin', [everything]),
  bind(
    'cluster-admin',
    { kind: 'Group', name: 'system:cluster-admins' },
    { kind: 'User', name: 'system:admin' },
  ),
  bind('cluster-reader', { kind: 'Group', name: 'system:cluster-readers' }),
]
