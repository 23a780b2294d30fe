/** The people who can log in to a sandbox: some of the identities in its RBAC, each with a token and with what RBAC lets them pull. */
import type { KnownIdentity, Identities } from './app-ci/identities.ts'
import type { KubernetesApi } from './app-ci/kubernetes-api.ts'

export interface Person {
  readonly username: string
  readonly token: string
  readonly reach: Reach
  /** For the reader: `of the group hive-team`. */
  readonly who: string
}

/** What RBAC lets somebody pull. It is the result of reviews. */
export interface Reach {
  /** Every namespace that is not restricted. */
  readonly isQciWide: boolean
  /** The namespaces that have a binding of their own, including restricted ones. */
  readonly namespaces: readonly string[]
}

export interface PeopleOptions {
  readonly kubernetes: KubernetesApi
  readonly identities: Identities
  readonly isRestricted: (namespace: string) => boolean
  /** The namespace that opens all that are not restricted. */
  readonly qciNamespace: string
  /** Namespaces that are reviewed in addition to those of bindings. */
  readonly namespaces: readonly string[]
}

/** With more, nobody would read the page. */
const mostPeople = 6

/** @param names users, `group:NAME`, service accounts by their user names; none: one of each kind and reach that the RBAC has */
export const choosePeople = (names: readonly string[], options: PeopleOptions): readonly Person[] => {
  if (names.length > 0) return names.map((name) => logIn(named(name), options))
  const chosen = new Map<string, { readonly person: Person; readonly order: number }>()
  for (const identity of options.identities.all.filter(canLogIn)) {
    const person = logIn(identity, options)
    const order = orderOf(person.reach, options)
    const key = `${identity.kind} ${order}`
    if (!chosen.has(key)) chosen.set(key, { person, order })
  }
  const sorted = [...chosen.values()].toSorted((left, right) => left.order - right.order)
  return [...sorted.slice(0, mostPeople).map(({ person }) => person), nobody(options)]
}

/** A user, `group:NAME`, or a service account by its user name. */
const named = (name: string): KnownIdentity => {
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? []
  if (account !== undefined) return { kind: 'ServiceAccount', name: `${namespace}/${account}` }
  const [, group] = /^group:(.+)$/.exec(name) ?? []
  return group === undefined ? { kind: 'User', name } : { kind: 'Group', name: group }
}

/** Without the groups that the cluster assigns by itself, and without its components. */
const canLogIn = ({ kind, name }: KnownIdentity): boolean =>
  kind === 'ServiceAccount' || !name.startsWith('system:')

const logIn = (identity: KnownIdentity, options: PeopleOptions): Person => {
  const { kubernetes, identities } = options
  if (identity.kind === 'ServiceAccount') {
    const [namespace = '', name = ''] = identity.name.split('/')
    const token = kubernetes.issueServiceAccountToken({ namespace, name })
    const username = `system:serviceaccount:${namespace}:${name}`
    return { username, token, who: 'a service account', reach: reachOf(token, options) }
  }
  const isGroup = identity.kind === 'Group'
  const username = isGroup ? `somebody-of-${identity.name}` : identity.name
  const groups = isGroup ? [identity.name] : identities.groupsOf(identity.name)
  const token = kubernetes.issueUserToken({ username, groups })
  const who = groups.length === 0 ? 'a user, in no group' : `of the group ${groups.join(' and ')}`
  return { username, token, who, reach: reachOf(token, options) }
}

const nobody = (options: PeopleOptions): Person => {
  const username = 'mallory'
  const token = options.kubernetes.issueUserToken({ username, groups: [] })
  return { username, token, who: 'a valid login in no group', reach: reachOf(token, options) }
}

const reachOf = (token: string, options: PeopleOptions): Reach => {
  const { kubernetes, identities, qciNamespace, namespaces } = options
  const asked = [...new Set([...identities.namespaces, ...namespaces])].toSorted()
  const [isQciWide = false, ...opened] = kubernetes.mayPull(
    token,
    [qciNamespace, ...asked].map((namespace) => ({ namespace })),
  )
  return { isQciWide, namespaces: asked.filter((_, index) => opened[index]) }
}

/** In the order of access: everything; everything that is not restricted; something restricted; something; nothing. */
const orderOf = ({ isQciWide, namespaces }: Reach, { isRestricted }: PeopleOptions): number => {
  const restricted = namespaces.some(isRestricted)
  if (isQciWide) return restricted ? 0 : 1
  if (restricted) return 2
  return namespaces.length > 0 ? 3 : 4
}

/** `every namespace that is not restricted; ocp-priv` */
export const reachText = (
  { isQciWide, namespaces }: Reach,
  isRestricted: (name: string) => boolean,
): string => {
  const byThemselves = isQciWide ? namespaces.filter(isRestricted) : namespaces
  const shown = byThemselves.slice(0, mostPeople)
  const more = byThemselves.length - shown.length
  const parts = [
    ...(isQciWide ? ['every namespace that is not restricted'] : []),
    ...shown,
    ...(more > 0 ? [`${more} more`] : []),
  ]
  return parts.length === 0 ? 'nothing' : parts.join(', ')
}
