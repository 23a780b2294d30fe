/** Roles and bindings in a line each. */
import type { UserInfo } from '../../../src/access/identity.ts'
import type { KubernetesObject, ResourceAttributes } from '../../../src/sandbox/app-ci/rbac.ts'

export const apiVersion = 'rbac.authorization.k8s.io/v1'

export const role = (namespace: string, name: string, ...rules: unknown[]): KubernetesObject => ({
  apiVersion,
  kind: 'Role',
  metadata: { namespace, name },
  rules,
})

export const clusterRole = (
  name: string,
  rules: unknown,
  more: object = {},
  labels = {},
): KubernetesObject => ({
  apiVersion,
  kind: 'ClusterRole',
  metadata: { name, labels },
  rules,
  ...more,
})

export const bind = (
  namespace: string,
  name: string,
  roleRef: string,
  ...subjects: unknown[]
): KubernetesObject => {
  const [kind, roleName] = roleRef.split('/')
  return {
    apiVersion,
    kind: namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: namespace === '' ? { name } : { namespace, name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: roleName },
    subjects,
  }
}

export const group = (name: string) => ({ kind: 'Group', name })
export const user = (username: string, ...groups: string[]): UserInfo => ({ username, groups, extra: {} })

export const pullRule = {
  verbs: ['get'],
  apiGroups: ['image.openshift.io'],
  resources: ['imagestreams/layers'],
}
export const pull: ResourceAttributes = {
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
  namespace: 'ocp',
}
