import type {
  RbacV1Subject,
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1LabelSelector,
  V1PolicyRule,
  V1Role,
  V1RoleBinding,
  V1RoleRef,
} from '@kubernetes/client-node'
import type { UserInfo } from '../../access/identity.ts'
import type { KubernetesObject } from './kubernetes-object.ts'

export { readManifests } from './kubernetes-object.ts'
export type { KubernetesObject } from './kubernetes-object.ts'

/** What is asked, as in a SubjectAccessReview; an absent field and an empty one are the same, as in the API. */
export interface ResourceAttributes {
  readonly verb?: string
  readonly group?: string
  readonly version?: string
  readonly resource?: string
  readonly subresource?: string
  /** Empty: cluster-wide, which no RoleBinding grants. */
  readonly namespace?: string
  readonly name?: string
}

export interface Decision {
  readonly allowed: boolean
  /** The words of the kube-apiserver: the binding that allows, or the roles that could not be found, or nothing. */
  readonly reason: string
}

export interface Rbac {
  authorize(user: UserInfo, attributes: ResourceAttributes): Decision
}

interface Grant {
  readonly namespace: string
  readonly description: string
  readonly roleRef: V1RoleRef
  readonly subjects: readonly RbacV1Subject[]
}

interface Policy {
  readonly roles: ReadonlyMap<string, readonly V1PolicyRule[]>
  readonly clusterRoles: ReadonlyMap<string, readonly V1PolicyRule[]>
  readonly clusterGrants: readonly Grant[]
  readonly grants: ReadonlyMap<string, readonly Grant[]>
}

/**
 * The RBAC authorizer of the kube-apiserver over manifests, with what the aggregation controller would have written
 * into aggregated ClusterRoles. Of an object given twice the last counts, as when it is applied; other kinds, and the
 * legacy roles of `authorization.openshift.io`, grant nothing.
 *
 * @throws Error for a Role or RoleBinding without a namespace: it would land wherever the applying person happens to be.
 */
export function createRbac(objects: readonly KubernetesObject[]): Rbac {
  const policy = readPolicy(objects)
  return { authorize: (user, attributes) => authorize(policy, user, attributes) }
}

function authorize(policy: Policy, user: UserInfo, attributes: ResourceAttributes): Decision {
  if (user.groups.includes('system:masters')) return { allowed: true, reason: '' }
  const dangling = new Set<string>()
  const local = policy.grants.get(attributes.namespace ?? '') ?? []
  for (const grant of [...policy.clusterGrants, ...local]) {
    const subject = grant.subjects.find((candidate) => appliesTo(candidate, user, grant.namespace))
    if (subject === undefined) continue
    const rules = resolve(policy, grant)
    if (rules === undefined) dangling.add(notFound(grant.roleRef))
    else if (rules.some((rule) => ruleAllows(rule, attributes))) {
      return { allowed: true, reason: `RBAC: allowed by ${grant.description} to ${describe(subject, grant)}` }
    }
  }
  return { allowed: false, reason: dangling.size === 0 ? '' : `RBAC: ${aggregate([...dangling])}` }
}

function ruleAllows(rule: V1PolicyRule, attributes: ResourceAttributes): boolean {
  const { verb = '', group = '', name = '' } = attributes
  const names = rule.resourceNames ?? []
  return (
    lists(rule.verbs, verb) &&
    lists(rule.apiGroups, group) &&
    resourceMatches(rule.resources ?? [], attributes) &&
    (names.length === 0 || names.includes(name))
  )
}

function resourceMatches(granted: readonly string[], attributes: ResourceAttributes): boolean {
  const { resource = '', subresource = '' } = attributes
  // `imagestreams/layers` sent as the resource has no subresource: it is not of `*/layers`.
  if (subresource === '') return lists(granted, resource)
  return lists(granted, `${resource}/${subresource}`) || granted.includes(`*/${subresource}`)
}

const lists = (granted: readonly string[] | undefined, asked: string): boolean =>
  (granted ?? []).some((value) => value === '*' || value === asked)

function appliesTo(subject: RbacV1Subject, user: UserInfo, bindingNamespace: string): boolean {
  if (subject.kind === 'User') return user.username === subject.name
  if (subject.kind === 'Group') return user.groups.includes(subject.name)
  if (subject.kind !== 'ServiceAccount') return false
  const namespace = subject.namespace || bindingNamespace
  return namespace !== '' && user.username === `system:serviceaccount:${namespace}:${subject.name}`
}

function resolve(policy: Policy, grant: Grant): readonly V1PolicyRule[] | undefined {
  const { kind, name } = grant.roleRef
  if (kind === 'ClusterRole') return policy.clusterRoles.get(name)
  return kind === 'Role' ? policy.roles.get(`${grant.namespace}/${name}`) : undefined
}

function notFound({ kind, name }: V1RoleRef): string {
  return kind === 'Role' || kind === 'ClusterRole'
    ? `${kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(name)} not found`
    : `unsupported role reference kind: ${JSON.stringify(kind)}`
}

const aggregate = (messages: readonly string[]): string =>
  messages.length === 1 ? messages[0]! : `[${messages.join(', ')}]`

function describe(subject: RbacV1Subject, grant: Grant): string {
  const name =
    subject.kind === 'ServiceAccount'
      ? `${subject.name}/${subject.namespace || grant.namespace}`
      : subject.name
  return `${subject.kind} ${JSON.stringify(name)}`
}

function readPolicy(objects: readonly KubernetesObject[]): Policy {
  const clusterRoles = new Map(
    latest<V1ClusterRole>(objects, 'ClusterRole').map((role) => [role.metadata?.name ?? '', role]),
  )
  const roles = latest<V1Role>(objects, 'Role').map(
    (role) => [`${namespaceOf(role)}/${role.metadata?.name ?? ''}`, role.rules ?? []] as const,
  )
  const bindings = latest<V1RoleBinding>(objects, 'RoleBinding').map((binding) => {
    const namespace = namespaceOf(binding)
    return grantOf(binding, `${binding.metadata?.name ?? ''}/${namespace}`, namespace)
  })
  const clusterGrants = latest<V1ClusterRoleBinding>(objects, 'ClusterRoleBinding').map((binding) =>
    grantOf(binding, binding.metadata?.name ?? '', ''),
  )
  return {
    roles: new Map(roles),
    clusterRoles: new Map(clusterRoles.entries().map(([name, role]) => [name, rulesOf(role, clusterRoles)])),
    clusterGrants,
    grants: Map.groupBy(bindings, (grant) => grant.namespace),
  }
}

function latest<T>(objects: readonly KubernetesObject[], kind: string): T[] {
  const found = new Map<string, KubernetesObject>()
  for (const object of objects) {
    if (object.kind !== kind || object.apiVersion !== 'rbac.authorization.k8s.io/v1') continue
    found.set(`${object.metadata?.namespace}/${object.metadata?.name}`, object)
  }
  return [...found.values()] as T[]
}

function namespaceOf({ kind, metadata }: V1Role | V1RoleBinding): string {
  if (metadata?.namespace) return metadata.namespace
  throw new Error(`${kind} ${JSON.stringify(metadata?.name ?? '')} has no metadata.namespace`)
}

const grantOf = (
  { kind, roleRef, subjects }: V1RoleBinding | V1ClusterRoleBinding,
  name: string,
  namespace: string,
): Grant => ({
  namespace,
  description: `${kind} ${JSON.stringify(name)} of ${roleRef.kind} ${JSON.stringify(roleRef.name)}`,
  roleRef,
  subjects: subjects ?? [],
})

/** The rules after the controller came to rest: an aggregated role's own are overwritten, and circles add nothing. */
function rulesOf(
  role: V1ClusterRole,
  clusterRoles: ReadonlyMap<string, V1ClusterRole>,
  seen = new Set<V1ClusterRole>(),
): readonly V1PolicyRule[] {
  if (!role.aggregationRule) return role.rules ?? []
  seen.add(role)
  const selectors = role.aggregationRule.clusterRoleSelectors ?? []
  return [...clusterRoles.values()]
    .filter((other) => selectors.some((selector) => selects(selector, other.metadata?.labels ?? {})))
    .flatMap((other) => (seen.has(other) ? [] : rulesOf(other, clusterRoles, seen)))
}

function selects(selector: V1LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const held = new Map(Object.entries(labels))
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => held.get(key) === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values }) => {
      if (operator === 'Exists' || operator === 'DoesNotExist')
        return held.has(key) === (operator === 'Exists')
      const listed = held.has(key) && (values ?? []).includes(held.get(key)!)
      return operator === 'In' ? listed : operator === 'NotIn' && !listed
    })
  )
}
