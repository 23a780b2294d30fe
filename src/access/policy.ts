/**
 * May they? Which reviews decide a reference, and in which order. No I/O of its own.
 *
 * QCI-wide is the review in the QCI namespace, where the role `qci-image-puller` lives.
 */
import type { ImageStream, Reference } from '../reference.ts'
import type { Doors, DoorsOf } from './doors.ts'
import type { ClusterIdentity, Identity } from './identity.ts'

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
  /** A yes that `decide` would come to without asking anybody, at once: as it is with nearly all requests of a pull. */
  readonly known: (identity: Identity, reference: Reference) => Decision | undefined
  /** As `decide`, but what nobody has seen is not open: a list must not hand out the digests that are open for being a secret. */
  readonly mayList: (identity: Identity, reference: Reference) => Promise<boolean>
  /** May they pull what belongs to an image stream; undefined: what belongs to none. For lists, before any tag is known. */
  readonly decideImageStream: (identity: Identity, imageStream: ImageStream | undefined) => Promise<Decision>
}

export interface PolicyOptions {
  readonly reviews: AccessReviews
  readonly doorsOf: DoorsOf
  /** The same doors, closed for what nobody has seen. */
  readonly listedDoorsOf: DoorsOf
  readonly qciNamespace: string
}

/** A base layer may be known in hundreds of streams; somebody without any right must not cost a review for each. */
const maxReviewsPerDecision = 16

export const createPolicy = (options: PolicyOptions): Policy => {
  const { reviews, doorsOf, listedDoorsOf, qciNamespace } = options
  const qci: ImageStream = { namespace: qciNamespace }

  const doorways = ({ imageStreams, qciWide }: Doors): readonly Doorway[] => [
    ...(qciWide ? [{ imageStream: qci, rule: 'qci-wide' as const }] : []),
    ...imageStreams.toReversed().map((imageStream) => ({ imageStream, rule: 'image-puller' as const })),
  ]

  const decide = async (identity: Identity, doors: Doors): Promise<Decision> => {
    const opening = identity.kind === 'robot' ? robotMay : await firstOpen(reviews, identity, doorways(doors))
    return decisionOf(opening, doors)
  }

  return {
    known: (identity, reference) => {
      const doors = doorsOf.reference(reference)
      const opening = identity.kind === 'robot' ? robotMay : knownOpening(reviews, identity, doorways(doors))
      return opening === undefined ? undefined : decisionOf(opening, doors)
    },
    decide: async (identity, reference) => await decide(identity, doorsOf.reference(reference)),
    mayList: async (identity, reference) =>
      (await decide(identity, listedDoorsOf.reference(reference))).allowed,
    decideImageStream: async (identity, imageStream) =>
      await decide(identity, doorsOf.imageStream(imageStream)),
  }
}

/** What opened a reference: a rule, and the namespace whose review said yes where one was asked. */
export interface Opening {
  readonly rule: Decision['rule']
  readonly grantedBy?: string
  readonly source: Decision['source']
}

export const robotMay: Opening = { rule: 'robot', source: 'none' }

export const decisionOf = ({ rule, grantedBy, source }: Opening, { namespace }: Doors): Decision => ({
  allowed: rule !== 'none',
  rule,
  ...(namespace === undefined ? {} : { namespace }),
  ...(grantedBy === undefined ? {} : { grantedBy }),
  source,
})

/** A review whose yes opens a reference. */
interface Doorway {
  readonly imageStream: ImageStream
  readonly rule: 'qci-wide' | 'image-puller'
}

/**
 * What is known to be open costs nothing; then QCI-wide, which most people have; then a stream of each namespace, newest first;
 * then the rest. While the API server is away, whichever of them it opened not long ago still counts, and nothing else.
 */
export const firstOpen = async (
  reviews: AccessReviews,
  identity: ClusterIdentity,
  doorways: readonly Doorway[],
): Promise<Opening> => {
  const remembered = knownOpening(reviews, identity, doorways)
  if (remembered !== undefined) return remembered
  let source: Decision['source'] = 'none'
  try {
    for (const doorway of eachNamespaceFirst(doorways).slice(0, maxReviewsPerDecision)) {
      const review = await reviews.review(identity, doorway.imageStream)
      if (review.allowed) return opened(doorway, review.source)
      source = source === 'asked' ? source : review.source
    }
  } catch (error) {
    const outdated = firstOf(doorways, identity, reviews.peekInGrace)
    if (outdated === undefined) throw error
    return opened(outdated, 'grace')
  }
  return { rule: 'none', source }
}

const knownOpening = (
  { peek }: AccessReviews,
  identity: ClusterIdentity,
  doorways: readonly Doorway[],
): Opening | undefined => {
  const doorway = firstOf(doorways, identity, peek)
  return doorway === undefined ? undefined : opened(doorway, 'cached')
}

const firstOf = (doorways: readonly Doorway[], identity: ClusterIdentity, peek: AccessReviews['peek']) =>
  doorways.find(({ imageStream }) => peek(identity, imageStream) === true)

/**
 * Most rights are of a whole namespace, and any stream of it shows them: one of each goes before a second of any, so that the
 * bound is on namespaces rather than on streams.
 */
const eachNamespaceFirst = (doorways: readonly Doorway[]): readonly Doorway[] => {
  const seen = new Set<string>()
  const [first, others]: [Doorway[], Doorway[]] = [[], []]
  for (const doorway of doorways) {
    const { namespace } = doorway.imageStream
    const isFirst = doorway.rule === 'qci-wide' || !seen.has(namespace)
    if (doorway.rule !== 'qci-wide') seen.add(namespace)
    ;(isFirst ? first : others).push(doorway)
  }
  return [...first, ...others]
}

const opened = ({ rule, imageStream }: Doorway, source: Decision['source']): Opening => ({
  rule,
  grantedBy: imageStream.namespace,
  source,
})
