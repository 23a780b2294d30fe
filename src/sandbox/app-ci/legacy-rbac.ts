/**
 * Converts roles and bindings of `authorization.openshift.io/v1`, which is an older format of RBAC on OpenShift. The API server converts
 * them when they are applied. Source: openshift-apiserver pkg/authorization/apis/authorization/rbacconversion/conversion.go and
 * v1/defaults.go, v1/conversion.go
 */
import type { KubernetesObject } from './kubernetes-object.ts'

const legacyVersion = 'authorization.openshift.io/v1'
const rbacVersion = 'rbac.authorization.k8s.io/v1'
const rbacGroup = 'rbac.authorization.k8s.io'

interface LegacyRule {
  readonly apiGroups?: readonly string[] | null
  readonly resources?: readonly string[] | null
  readonly attributeRestrictions?: unknown
}

interface Reference {
  readonly kind?: string
  readonly name?: string
  readonly namespace?: string
}

/** The object as the API server would store it; other objects are returned unchanged. @throws {Error} if the API server would refuse it */
export const asStored = (object: KubernetesObject): KubernetesObject => {
  if (object.apiVersion !== legacyVersion) return object
  const { kind = '' } = object
  if (kind === 'Role' || kind === 'ClusterRole')
    return { ...object, apiVersion: rbacVersion, rules: rulesOf(object) }
  if (kind !== 'RoleBinding' && kind !== 'ClusterRoleBinding') return object
  const reference = (object['roleRef'] ?? {}) as Reference
  const namespace = kind === 'RoleBinding' ? object.metadata?.namespace : undefined
  if (reference.namespace && reference.namespace !== namespace)
    throw new Error(`it refers to a role of namespace ${JSON.stringify(reference.namespace)}`)
  return {
    ...object,
    apiVersion: rbacVersion,
    roleRef: {
      apiGroup: rbacGroup,
      kind: reference.namespace ? 'Role' : 'ClusterRole',
      name: reference.name,
    },
    subjects: subjectsOf(object),
  }
}

/** A rule with attributeRestrictions has never granted anything; one that names no group means the core group. */
const rulesOf = (object: KubernetesObject): readonly object[] =>
  ((object['rules'] ?? []) as readonly LegacyRule[])
    .filter(({ attributeRestrictions }) => (attributeRestrictions ?? null) === null)
    .map((rule) =>
      (rule.resources ?? []).length > 0 && (rule.apiGroups ?? []).length === 0
        ? { ...rule, apiGroups: [''] }
        : rule,
    )

/** `userNames` and `groupNames` are even older. If one of them is given, `subjects` are ignored. */
const subjectsOf = (object: KubernetesObject): readonly object[] => {
  const users = object['userNames'] as readonly string[] | null | undefined
  const groups = object['groupNames'] as readonly string[] | null | undefined
  if (users || groups)
    return [
      ...(users ?? []).map((name) => ({ kind: 'User', name })),
      ...(groups ?? []).map((name) => ({ kind: 'Group', name })),
    ]
  return ((object['subjects'] ?? []) as readonly Reference[]).map(({ kind = '', ...rest }) => ({
    ...rest,
    kind: kind.replace(/^System(?=User$|Group$)/, ''),
  }))
}
