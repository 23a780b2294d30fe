/** Roles and bindings as the API server has them after they were applied. */
import type {
  RbacV1Subject,
  V1ClusterRole,
  V1LabelSelector,
  V1PolicyRule,
  V1RoleRef,
} from '@kubernetes/client-node'
import type { KubernetesObject } from './kubernetes-object.ts'
import { asStored } from './legacy-rbac.ts'

export interface Grant {
  /** Empty for a ClusterRoleBinding. */
  readonly namespace: string
  readonly description: string
  readonly roleRef: V1RoleRef
  readonly subjects: readonly RbacV1Subject[]
}

export interface Policy {
  /** By `namespace/name`. */
  readonly roles: ReadonlyMap<string, readonly V1PolicyRule[]>
  readonly clusterRoles: ReadonlyMap<string, readonly V1PolicyRule[]>
  readonly clusterGrants: readonly Grant[]
  /** By namespace. */
  readonly grants: ReadonlyMap<string, readonly Grant[]>
  /** The objects that the API server would refuse, each with its name and the reason. */
  readonly skipped: readonly string[]
}

const kinds = ['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding'] as const
type Kind = (typeof kinds)[number]

/** A checked object: its lists are lists. */
interface Applied {
  readonly kind: Kind
  readonly name: string
  readonly namespace: string
  readonly object: KubernetesObject
}

/** If an object is given twice, the last one counts, as with `oc apply`. Other kinds grant nothing. */
export const readPolicy = (objects: readonly KubernetesObject[]): Policy => {
  const skipped: string[] = []
  const applied = new Map<string, Applied>()
  for (const object of objects) {
    const one = apply(object, skipped)
    if (one !== undefined) applied.set(`${one.kind} ${one.namespace}/${one.name}`, one)
  }
  const of = (kind: Kind) => [...applied.values()].filter((one) => one.kind === kind)
  const clusterRoles = new Map(of('ClusterRole').map(({ name, object }) => [name, object as V1ClusterRole]))
  const roles = of('Role').map(
    ({ namespace, name, object }) => [`${namespace}/${name}`, (object as V1ClusterRole).rules ?? []] as const,
  )
  return {
    roles: new Map(roles),
    clusterRoles: new Map(clusterRoles.entries().map(([name, role]) => [name, rulesOf(role, clusterRoles)])),
    clusterGrants: of('ClusterRoleBinding').map(grantOf),
    grants: Map.groupBy(of('RoleBinding').map(grantOf), ({ namespace }) => namespace),
    skipped,
  }
}

/** @param skipped is added to */
const apply = (object: KubernetesObject, skipped: string[]): Applied | undefined => {
  const kind = kinds.find((one) => one === object.kind)
  const [group = ''] = (object.apiVersion ?? '').split('/')
  if (kind === undefined || !/^(?:rbac\.authorization\.k8s\.io|authorization\.openshift\.io)$/.test(group))
    return undefined
  const { name = '', namespace = '' } = object.metadata ?? {}
  const skip = (reason: string): undefined => {
    skipped.push(`${kind} ${JSON.stringify(namespace === '' ? name : `${namespace}/${name}`)}: ${reason}`)
  }
  if (![name, namespace].every(isText)) return skip('its name or namespace is not a text')
  const isClusterWide = kind.startsWith('Cluster')
  const problem = problemOf(object, isClusterWide ? undefined : namespace)
  if (problem !== undefined) return skip(problem)
  try {
    const stored = asStored(object)
    return { kind, name, namespace: isClusterWide ? '' : namespace, object: stored }
  } catch (error) {
    return skip((error as Error).message)
  }
}

const versions = ['rbac.authorization.k8s.io/v1', 'authorization.openshift.io/v1']

/** @param namespace undefined for cluster-wide objects */
const problemOf = (object: KubernetesObject, namespace: string | undefined): string | undefined => {
  if (!versions.includes(object.apiVersion!)) return `API servers of today have no ${object.apiVersion}`
  // `oc apply` would put it into the current namespace of the user.
  if (namespace === '') return 'it has no metadata.namespace'
  if (object.kind!.endsWith('Role')) return problemOfRole(object)
  const { roleRef } = object as { roleRef?: V1RoleRef | null }
  if (typeof roleRef?.name !== 'string') return 'it refers to no role'
  return isListOf(object['subjects'], isSubject) ? undefined : 'its subjects are not a list of subjects'
}

const problemOfRole = (object: KubernetesObject): string | undefined => {
  if (!isListOf(object['rules'], isRule)) return 'its rules are not a list of rules'
  const { aggregationRule } = object
  if ((aggregationRule ?? null) === null) return undefined
  return isObject(aggregationRule) && isListOf(aggregationRule['clusterRoleSelectors'], isSelector)
    ? undefined
    : 'its aggregationRule is not a list of selectors'
}

const isListOf = (value: unknown, isItem: (item: unknown) => boolean): boolean =>
  (value ?? null) === null || (Array.isArray(value) && value.every(isItem))

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

const isText = (value: unknown): boolean => typeof value === 'string'

const isRule = (value: unknown): boolean =>
  isObject(value) &&
  ['verbs', 'apiGroups', 'resources', 'resourceNames', 'nonResourceURLs'].every((key) =>
    isListOf(value[key], isText),
  )

/** YAML takes a name of digits for a number, which the API server refuses. */
const isSubject = (value: unknown): boolean =>
  isObject(value) && ['kind', 'name', 'namespace'].every((key) => isText(value[key] ?? ''))

const isSelector = (value: unknown): boolean =>
  isObject(value) &&
  isListOf(
    value['matchExpressions'],
    (expression) => isObject(expression) && isListOf(expression['values'], isText),
  )

const grantOf = ({ kind, name, namespace, object }: Applied): Grant => {
  const { roleRef, subjects } = object as unknown as Grant
  const where = namespace === '' ? name : `${name}/${namespace}`
  const description = `${kind} ${JSON.stringify(where)} of ${roleRef.kind} ${JSON.stringify(roleRef.name)}`
  return { namespace, description, roleRef, subjects: subjects ?? [] }
}

/**
 * The rules after the aggregation controller has finished: the own rules of an aggregated role are overwritten, and circles add nothing.
 */
const rulesOf = (
  role: V1ClusterRole,
  clusterRoles: ReadonlyMap<string, V1ClusterRole>,
  seen = new Set<V1ClusterRole>(),
): readonly V1PolicyRule[] => {
  if (!role.aggregationRule) return role.rules ?? []
  seen.add(role)
  const selectors = role.aggregationRule.clusterRoleSelectors ?? []
  return [...clusterRoles.values()]
    .filter((other) => selectors.some((selector) => selects(selector, other.metadata?.labels ?? {})))
    .flatMap((other) => (seen.has(other) ? [] : rulesOf(other, clusterRoles, seen)))
}

const selects = (selector: V1LabelSelector, labels: Readonly<Record<string, string>>): boolean => {
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
