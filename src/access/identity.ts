/**
 * Who asks. A `cluster` identity is the UserInfo of a TokenReview, kept verbatim: a SubjectAccessReview that lost
 * `uid`, `groups` or `extra` would judge somebody else (a scope-restricted OAuth token would gain full rights).
 */
export interface UserInfo {
  readonly username: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** Somebody the cluster knows; `key` is a hash over the whole UserInfo, so that caches need not keep it. */
export interface ClusterIdentity {
  readonly kind: 'cluster'
  readonly user: UserInfo
  readonly key: string
}

/** A holder of the upstream robot's own credential: may pull whatever the robot may. */
export interface RobotIdentity {
  readonly kind: 'robot'
  readonly user: UserInfo
}

export type Identity = ClusterIdentity | RobotIdentity

/** Sorts of askers, for logs and metrics. */
export type IdentityKind = 'person' | 'service account' | 'robot' | 'anonymous'

/** By the reviewed name, which the cluster lets nobody choose: `system:` is its own. */
export const kindOf = ({ kind, user: { username } }: Identity): IdentityKind => {
  if (kind === 'robot') return 'robot'
  if (username === 'system:anonymous') return 'anonymous'
  return username.startsWith('system:serviceaccount:') ? 'service account' : 'person'
}

/** Both names of Kubernetes, from `system:serviceaccount:<namespace>:<name>`; undefined for anybody else. */
export const serviceAccountOf = (
  username: string,
): { readonly namespace: string; readonly name: string } | undefined => {
  const [, namespace, name] = serviceAccountPattern.exec(username) ?? []
  return namespace === undefined || name === undefined ? undefined : { namespace, name }
}
const serviceAccountPattern = /^system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})$/
