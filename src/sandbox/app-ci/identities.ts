/** The identities in the RBAC of a cluster, which can log in to the sandbox, and the namespaces of its bindings. */
import type { KubernetesObject } from './kubernetes-object.ts'
import { asStored } from './legacy-rbac.ts'

/** For a service account, `name` is `namespace/name`. */
export interface KnownIdentity {
  readonly kind: 'User' | 'Group' | 'ServiceAccount'
  readonly name: string
}

export interface Identities {
  /** Each subject of a binding once, and each ServiceAccount object. */
  readonly all: readonly KnownIdentity[]
  /** The namespaces that a RoleBinding is in, sorted. */
  readonly namespaces: readonly string[]
  /** The Groups of `user.openshift.io` that a user is in. */
  readonly groupsOf: (user: string) => readonly string[]
}

interface Subject {
  readonly kind?: string
  readonly name?: string
  readonly namespace?: string
}

/** @param objects objects that cannot be read as RBAC are ignored, as in `createRbac` */
export const identitiesIn = (objects: readonly KubernetesObject[]): Identities => {
  const found = new Map<string, KnownIdentity>()
  const namespaces = new Set<string>()
  const members = new Map<string, string[]>()
  for (const object of objects) {
    const { metadata } = object
    const [name, namespace] = [textOf(metadata?.name), textOf(metadata?.namespace)]
    if (object.kind === 'RoleBinding' && namespace !== '') namespaces.add(namespace)
    if (object.kind === 'Group')
      for (const user of stringsOf(object['users'])) members.set(user, [...(members.get(user) ?? []), name])
    for (const subject of subjectsOf(object)) {
      const identity = identityOf(subject, namespace)
      if (identity !== undefined) found.set(`${identity.kind} ${identity.name}`, identity)
    }
  }
  return {
    all: [...found.values()],
    namespaces: [...namespaces].toSorted(),
    groupsOf: (user) => members.get(user) ?? [],
  }
}

const subjectsOf = (object: KubernetesObject): readonly Subject[] => {
  const { kind, metadata } = object
  if (kind === 'ServiceAccount') return [{ kind, ...metadata }]
  if (kind !== 'RoleBinding' && kind !== 'ClusterRoleBinding') return []
  try {
    const subjects = asStored(object)['subjects']
    return Array.isArray(subjects) ? subjects.filter((subject) => typeof subject === 'object' && subject) : []
  } catch {
    return []
  }
}

const stringsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []

const serviceAccount = /^system:serviceaccount:([^:]+):([^:]+)$/

/** A name that YAML read as a number or the like is not a name. */
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** A binding may name a service account by its user name. @param here the namespace of the binding */
const identityOf = (subject: Subject, here: string): KnownIdentity | undefined => {
  const { kind } = subject
  const [name, namespace] = [textOf(subject.name), textOf(subject.namespace)]
  if (name === '') return undefined
  const [, accountNamespace, account] = (kind === 'User' && serviceAccount.exec(name)) || []
  if (account !== undefined) return { kind: 'ServiceAccount', name: `${accountNamespace}/${account}` }
  if (kind === 'User' || kind === 'Group') return { kind, name }
  const where = namespace || here
  return kind === 'ServiceAccount' && where !== '' ? { kind, name: `${where}/${name}` } : undefined
}
