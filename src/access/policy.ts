/**
 * May they? Which reviews decide a reference, and in which order. No I/O of its own.
 *
 * Every reference comes down to two things: the image streams whose `system:image-puller` opens it, and whether a right to
 * the whole monorepo (QCI-wide: the review in the QCI namespace, where the role `qci-image-puller` lives) opens it too.
 */
import type { Digest, ImageStream, Reference, Repository } from '../reference.ts'
import type { ClusterIdentity, Identity } from './identity.ts'

export interface Decision {
  readonly allowed: boolean
  /** What opened it, or that nothing did. */
  readonly rule: 'robot' | 'qci-wide' | 'image-puller' | 'none'
  /** The namespace whose review said yes; for a refusal, the one that was asked for, if the reference names one. */
  readonly namespace?: string
  /** Whether the API server was asked for this decision, or it stands on remembered (or outdated, in grace) reviews. */
  readonly source: 'asked' | 'cached' | 'grace' | 'none'
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

export interface Policy {
  readonly decide: (identity: Identity, reference: Reference) => Promise<Decision>
  /** May they pull what belongs to an image stream; undefined: what belongs to none. For lists, before any tag is known. */
  readonly decideImageStream: (identity: Identity, imageStream: ImageStream | undefined) => Promise<Decision>
  readonly isRestricted: (namespace: string) => boolean
}

export interface PolicyOptions {
  readonly reviews: AccessReviews
  readonly seenIn: (digest: Digest) => readonly ImageStream[]
  readonly isRestricted: (namespace: string) => boolean
  readonly qciNamespace: string
  readonly unknownDigests: 'allow' | 'deny'
}

/** The image streams that may open a reference, and whether QCI-wide does. */
interface Doors {
  readonly imageStreams: readonly ImageStream[]
  readonly qciWide: boolean
  /** As the asker wrote it: the only namespace that a refusal may name. */
  readonly namespace?: string
}

const withoutNamespace: Doors = { imageStreams: [], qciWide: true }

/** A base layer may be known in hundreds of streams; somebody without any right must not cost a review for each. */
const maxReviewsPerDecision = 16

export const createPolicy = (options: PolicyOptions): Policy => {
  const { reviews, seenIn, isRestricted, qciNamespace, unknownDigests } = options
  const qci: ImageStream = { namespace: qciNamespace }

  const imageStreamDoors = (imageStream: ImageStream): Doors => ({
    imageStreams: [imageStream],
    qciWide: !isRestricted(imageStream.namespace),
    namespace: imageStream.namespace,
  })

  const digestDoors = (digest: Digest, repository: Repository): Doors => {
    const known = seenIn(digest)
    const qciWide =
      known.length === 0
        ? unknownDigests === 'allow'
        : known.some(({ namespace }) => !isRestricted(namespace))
    if (repository.form === 'monorepo') return { imageStreams: known, qciWide }
    const { namespace } = repository
    return {
      imageStreams: known.filter((imageStream) => imageStream.namespace === namespace),
      qciWide,
      namespace,
    }
  }

  const doorsOf = (reference: Reference): Doors => {
    if (reference.kind === 'digest') return digestDoors(reference.digest, reference.repository)
    const { owner, repository } = reference
    if (owner.by === 'image-stream') return imageStreamDoors(owner.imageStream)
    return owner.by === 'digest' ? digestDoors(owner.digest, repository) : withoutNamespace
  }

  const open = async (identity: ClusterIdentity, doors: Doors): Promise<Decision> => {
    const newestFirst = doors.imageStreams.toReversed()
    const { doorway, source } = await firstOpen(reviews, identity, [
      ...(doors.qciWide ? [{ imageStream: qci, rule: 'qci-wide' as const }] : []),
      ...newestFirst.map((imageStream) => ({ imageStream, rule: 'image-puller' as const })),
    ])
    if (doorway !== undefined)
      return { allowed: true, rule: doorway.rule, namespace: doorway.imageStream.namespace, source }
    return {
      allowed: false,
      rule: 'none',
      source,
      ...(doors.namespace === undefined ? {} : { namespace: doors.namespace }),
    }
  }

  const decide = async (identity: Identity, doors: Doors): Promise<Decision> =>
    identity.kind === 'robot' ? { allowed: true, rule: 'robot', source: 'none' } : await open(identity, doors)

  return {
    decide: async (identity, reference) => await decide(identity, doorsOf(reference)),
    decideImageStream: async (identity, imageStream) =>
      await decide(identity, imageStream === undefined ? withoutNamespace : imageStreamDoors(imageStream)),
    isRestricted,
  }
}

/** A review whose yes opens a reference. */
interface Doorway {
  readonly imageStream: ImageStream
  readonly rule: 'qci-wide' | 'image-puller'
}

/**
 * What is known to be open costs nothing; then QCI-wide, which most people have; then the streams, newest first. While the API
 * server is away, whichever of them it opened not long ago still counts, and nothing else.
 */
const firstOpen = async (
  reviews: AccessReviews,
  identity: ClusterIdentity,
  doorways: readonly Doorway[],
): Promise<{ doorway: Doorway | undefined; source: Decision['source'] }> => {
  const known = (peek: AccessReviews['peek']) =>
    doorways.find(({ imageStream }) => peek(identity, imageStream) === true)
  const remembered = known(reviews.peek)
  if (remembered !== undefined) return { doorway: remembered, source: 'cached' }
  let source: Decision['source'] = 'none'
  try {
    for (const doorway of doorways.slice(0, maxReviewsPerDecision)) {
      const review = await reviews.review(identity, doorway.imageStream)
      if (review.allowed) return { doorway, source: review.source }
      source = source === 'asked' ? source : review.source
    }
  } catch (error) {
    const outdated = known(reviews.peekInGrace)
    if (outdated === undefined) throw error
    return { doorway: outdated, source: 'grace' }
  }
  return { doorway: undefined, source }
}
