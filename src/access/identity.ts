/**
 * Who sends a request. The identity of somebody the cluster knows is the UserInfo of a TokenReview, kept verbatim: a
 * SubjectAccessReview that lost `uid`, `groups` or `extra` would judge somebody else (a scope-restricted OAuth token would gain full
 * rights).
 */
export interface UserInfo {
  readonly username: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** Somebody the cluster knows; `key` is a hash over the whole UserInfo, so that caches need not keep it. */
export interface ClusterIdentity {
  readonly kind: ClusterIdentityKind
  readonly user: UserInfo
  readonly key: string
}

/** A holder of the upstream robot's own credential: may pull whatever the robot may. */
export interface RobotIdentity {
  readonly kind: 'robot'
  readonly user: UserInfo
}

export type Identity = ClusterIdentity | RobotIdentity

export type ClusterIdentityKind = 'user' | 'service-account' | 'anonymous'
export type IdentityKind = Identity['kind']

/** By the reviewed name. The cluster lets nobody choose a name that begins with `system:`. */
export const clusterKindOf = (username: string): ClusterIdentityKind => {
  if (username === 'system:anonymous') return 'anonymous'
  return username.startsWith('system:serviceaccount:') ? 'service-account' : 'user'
}

/** Both names of Kubernetes, from `system:serviceaccount:<namespace>:<name>`; undefined for anybody else. */
export const serviceAccountOf = (
  username: string,
): { readonly namespace: string; readonly name: string } | undefined => {
  const [, namespace, name] = serviceAccountPattern.exec(username) ?? []
  return namespace === undefined || name === undefined ? undefined : { namespace, name }
}
const serviceAccountPattern = /^system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})$/
