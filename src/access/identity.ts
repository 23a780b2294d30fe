/**
 * The identity behind a request. For a user of the cluster it is the UserInfo of the TokenReview, verbatim: a SubjectAccessReview without
 * its `uid`, `groups` or `extra` would decide about another subject (a scope-restricted OAuth token would gain full rights).
 */
export interface UserInfo {
  readonly username: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** A user of the cluster. `key` is a hash over the whole UserInfo, so that caches need not store it. */
export interface ClusterIdentity {
  readonly kind: ClusterIdentityKind
  readonly user: UserInfo
  readonly key: string
}

/** A client with the upstream robot's own credential: it may pull everything that the robot may pull. */
export interface RobotIdentity {
  readonly kind: 'robot'
  readonly user: UserInfo
}

export type Identity = ClusterIdentity | RobotIdentity

export type ClusterIdentityKind = 'user' | 'service-account' | 'anonymous'
export type IdentityKind = Identity['kind']

/** By the reviewed name. The cluster reserves names that begin with `system:`. */
export const clusterKindOf = (username: string): ClusterIdentityKind => {
  if (username === 'system:anonymous') return 'anonymous'
  return username.startsWith('system:serviceaccount:') ? 'service-account' : 'user'
}

/** Namespace and name of `system:serviceaccount:<namespace>:<name>`; undefined for other user names. */
export const serviceAccountOf = (
  username: string,
): { readonly namespace: string; readonly name: string } | undefined => {
  const [, namespace, name] = serviceAccountPattern.exec(username) ?? []
  return namespace === undefined || name === undefined ? undefined : { namespace, name }
}
const serviceAccountPattern = /^system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})$/
