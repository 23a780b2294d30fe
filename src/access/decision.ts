/**
 * What a decision is, and the reviews that it stands on.
 */
import type { ImageStream } from '../reference.ts'
import type { ClusterIdentity } from './identity.ts'

export interface Decision {
  readonly allowed: boolean
  /** What opened it, or that nothing did. */
  readonly rule: 'robot' | 'qci-wide' | 'image-puller' | 'service-account' | 'none'
  /** Whose image it is, as far as that is known. Not for the asker: see `Doors`. */
  readonly namespace?: string
  /** The namespace whose review said yes. */
  readonly grantedBy?: string
  /** Whether the API server was asked for this decision, or it stands on remembered (or outdated, in grace) reviews. */
  readonly source: 'asked' | 'cached' | 'grace' | 'none'
  /** Refused for now, since something is not known yet: whether the image is restricted, or what other replicas know of it. */
  readonly isPremature?: true
}

/** The reviews of app.ci. Failing to get an answer is a throw, never a no. */
export interface AccessReviews {
  readonly review: (
    identity: ClusterIdentity,
    imageStream: ImageStream,
  ) => Promise<{ allowed: boolean; source: 'asked' | 'cached' | 'grace' }>
  readonly peek: (identity: ClusterIdentity, imageStream: ImageStream) => boolean | undefined
  /** As `peek`, an outdated answer included that counts while the API server is away. */
  readonly peekInGrace: (identity: ClusterIdentity, imageStream: ImageStream) => boolean | undefined
}

/** A base layer may be known in hundreds of streams; somebody without any right must not cost a review for each. */
export const maxReviewsPerDecision = 16
