/** The RBAC authorizer of the kube-apiserver, over the manifests of a cluster. */
import type { RbacV1Subject, V1PolicyRule, V1RoleRef } from '@kubernetes/client-node'
import type { UserInfo } from '../../access/identity.ts'
import type { KubernetesObject } from './kubernetes-object.ts'
import { readPolicy } from './rbac-policy.ts'
import type { Grant, Policy } from './rbac-policy.ts'

export { readManifests } from './kubernetes-object.ts'
export type { KubernetesObject } from './kubernetes-object.ts'

/** As in a SubjectAccessReview. An absent field and an empty one are the same, as in the API. */
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

/** As in a SubjectAccessReview: a path of the API server, or of a program that uses its RBAC. */
export interface NonResourceAttributes {
  readonly verb?: string
  readonly path?: string
}

export type Attributes = ResourceAttributes | (NonResourceAttributes & { readonly path: string })

export interface Decision {
  readonly allowed: boolean
  /** The reason in the words of the kube-apiserver: the binding that allows it, or the roles that were not found; may be empty. */
  readonly reason: string
}

export interface Rbac {
  authorize(user: UserInfo, attributes: Attributes): Decision
  /** The objects that an API server would refuse, each with its name and the reason. They grant nothing. */
  readonly skipped: readonly string[]
}

/**
 * The RBAC authorizer over manifests. Aggregated ClusterRoles have the rules that the aggregation controller would write. If an object is
 * given twice, the last one counts, as with `oc apply`. Kinds other than RBAC grant nothing.
 */
export const createRbac = (objects: readonly KubernetesObject[]): Rbac => {
  const policy = readPolicy(objects)
  return { authorize: (user, attributes) => authorize(policy, user, attributes), skipped: policy.skipped }
}

const authorize = (policy: Policy, user: UserInfo, attributes: Attributes): Decision => {
  if (user.groups.includes('system:masters')) return { allowed: true, reason: '' }
  const dangling = new Set<string>()
  // A RoleBinding grants no path.
  const local = 'path' in attributes ? [] : (policy.grants.get(attributes.namespace ?? '') ?? [])
  for (const grant of [...policy.clusterGrants, ...local]) {
    const subject = grant.subjects.find((candidate) => appliesTo(candidate, user, grant.namespace))
    if (subject === undefined) continue
    const rules = resolve(policy, grant)
    if (rules === undefined) dangling.add(notFound(grant.roleRef))
    else if (rules.some((rule) => ruleAllows(rule, attributes)))
      return { allowed: true, reason: `RBAC: allowed by ${grant.description} to ${describe(subject, grant)}` }
  }
  return { allowed: false, reason: dangling.size === 0 ? '' : `RBAC: ${aggregate([...dangling])}` }
}

const ruleAllows = (rule: V1PolicyRule, attributes: Attributes): boolean =>
  'path' in attributes ? pathRuleAllows(rule, attributes) : resourceRuleAllows(rule, attributes)

/** A path matches an equal path, or a pattern that ends with `*` if the path begins with the text before it. */
const pathRuleAllows = (
  { verbs, nonResourceURLs = [] }: V1PolicyRule,
  { verb = '', path }: NonResourceAttributes & { readonly path: string },
): boolean =>
  lists(verbs, verb) &&
  nonResourceURLs.some((url) => url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))))

const resourceRuleAllows = (rule: V1PolicyRule, attributes: ResourceAttributes): boolean => {
  const { verb = '', group = '', name = '' } = attributes
  const names = rule.resourceNames ?? []
  return (
    lists(rule.verbs, verb) &&
    lists(rule.apiGroups, group) &&
    resourceMatches(rule.resources ?? [], attributes) &&
    (names.length === 0 || names.includes(name))
  )
}

const resourceMatches = (granted: readonly string[], attributes: ResourceAttributes): boolean => {
  const { resource = '', subresource = '' } = attributes
  // A review with the resource `imagestreams/layers` has no subresource, so `*/layers` does not match it.
  if (subresource === '') return lists(granted, resource)
  return lists(granted, `${resource}/${subresource}`) || granted.includes(`*/${subresource}`)
}

const lists = (granted: readonly string[] | undefined, asked: string): boolean =>
  (granted ?? []).some((value) => value === '*' || value === asked)

const appliesTo = (subject: RbacV1Subject, user: UserInfo, bindingNamespace: string): boolean => {
  if (subject.kind === 'User') return user.username === subject.name
  if (subject.kind === 'Group') return user.groups.includes(subject.name)
  if (subject.kind !== 'ServiceAccount') return false
  const namespace = subject.namespace || bindingNamespace
  return namespace !== '' && user.username === `system:serviceaccount:${namespace}:${subject.name}`
}

const resolve = (policy: Policy, grant: Grant): readonly V1PolicyRule[] | undefined => {
  const { kind, name } = grant.roleRef
  if (kind === 'ClusterRole') return policy.clusterRoles.get(name)
  return kind === 'Role' ? policy.roles.get(`${grant.namespace}/${name}`) : undefined
}

const notFound = ({ kind, name }: V1RoleRef): string => {
  return kind === 'Role' || kind === 'ClusterRole'
    ? `${kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(name)} not found`
    : `unsupported role reference kind: ${JSON.stringify(kind)}`
}

const aggregate = (messages: readonly string[]): string =>
  messages.length === 1 ? messages[0]! : `[${messages.join(', ')}]`

const describe = (subject: RbacV1Subject, grant: Grant): string => {
  const name =
    subject.kind === 'ServiceAccount'
      ? `${subject.name}/${subject.namespace || grant.namespace}`
      : subject.name
  return `${subject.kind} ${JSON.stringify(name)}`
}
