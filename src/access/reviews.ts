/**
 * The interfaces of the reviews that access decisions are based on.
 */
import type { ImageStream } from '../oci/reference.ts'
import type { ClusterIdentity } from './identity.ts'

/** The reviews of app.ci. A review without an answer is a throw, never a no. */
export interface AccessReviews {
  readonly review: (
    identity: ClusterIdentity,
    imageStream: ImageStream,
  ) => Promise<{ allowed: boolean; source: 'live' | 'cached' | 'grace' }>
  readonly peek: (identity: ClusterIdentity, imageStream: ImageStream) => boolean | undefined
  /** As `peek`, and also an answer in its grace, which is valid while the API server is unavailable. */
  readonly peekInGrace: (identity: ClusterIdentity, imageStream: ImageStream) => boolean | undefined
}

/** The right to send requests with this verb to a path: `nonResourceURLs` of RBAC. */
export interface PathRight {
  readonly verb: 'get' | 'post'
  /** `/mirrors` */
  readonly path: string
}

/** As `AccessReviews`, with the same queue, cache and shares. */
export interface PathReviews {
  readonly reviewPath: (
    identity: ClusterIdentity,
    right: PathRight,
  ) => Promise<{ allowed: boolean; source: 'live' | 'cached' | 'grace' }>
}

/** Attack: a base layer may be seen in hundreds of streams. A user without access must not cause a review for each. */
export const maxReviewsPerDecision = 16
