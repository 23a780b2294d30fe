/**
 * May they? Which reviews decide a reference, and in which order. No I/O of its own.
 *
 * QCI-wide is the review in the QCI namespace, where the role `qci-image-puller` lives.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LookFurther } from '../digests/look-further.ts'
import type { Digest, ImageStream, Reference } from '../reference.ts'
import { maxReviewsPerDecision, type AccessReviews, type Decision } from './decision.ts'
import type { Doors, DoorsOf } from './doors.ts'
import { grantedHere, type Granted } from './granted.ts'
import type { ClusterIdentity, Identity } from './identity.ts'
import { decisionOf, firstOpen, knownOpening, robotMay, type Doorway } from './opening.ts'

export type { AccessReviews, Decision } from './decision.ts'

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
  readonly lookFurther?: LookFurther | undefined
  /** Where people were let in lately; of this process alone unless told. */
  readonly granted?: Granted
  /** Milliseconds: a digest is refused after a multiple of them. */
  readonly refusalStepMs?: number
}

/** Attack: the time that a refusal takes would tell in how many namespaces a digest is known. */
const defaultRefusalStepMs = 100

export const createPolicy = (options: PolicyOptions): Policy => {
  const { reviews, doorsOf, listedDoorsOf, qciNamespace, lookFurther } = options
  const { refusalStepMs = defaultRefusalStepMs, granted = grantedHere() } = options
  const qci: ImageStream = { namespace: qciNamespace }

  const doorways = ({ imageStreams, qciWide }: Doors): readonly Doorway[] => [
    ...(qciWide === true ? [{ imageStream: qci, rule: 'qci-wide' as const }] : []),
    ...imageStreams.toReversed().map((imageStream) => ({ imageStream, rule: 'image-puller' as const })),
  ]

  const decide = async (identity: Identity, doors: Doors): Promise<Decision> => {
    if (identity.kind === 'robot') return decisionOf(robotMay, doors)
    const opening = await firstOpen({ reviews, granted }, identity, doorways(doors))
    const decision = decisionOf(opening, doors)
    if (decision.allowed || doors.qciWide !== 'later') return decision
    const { allowed } = await reviews.review(identity, qci)
    return allowed ? { ...decision, isPremature: true } : decision
  }

  const decideDigest = async (
    identity: ClusterIdentity,
    reference: Reference,
    digest: Digest,
  ): Promise<Decision> => {
    const startedAt = performance.now()
    const before = doorsOf.reference(reference)
    const decision = await decide(identity, before)
    if (decision.allowed) return decision
    const found = await lookFurther?.(digest, {
      repository: reference.repository,
      requester: identity.user.username,
      mayPull: async (imageStream) => (await reviews.review(identity, imageStream)).allowed,
    })
    const doors = doorsOf.reference(reference)
    const isTold = doorways(doors).length > maxReviewsPerDecision && (await granted.lookUp(identity))
    // Trap: what another replica has told while the first reviews were waited for was not learnt by looking further.
    const isWorth = isTold || found?.hasLearnt === true || JSON.stringify(doors) !== JSON.stringify(before)
    const further = isWorth ? await decide(identity, doors) : decision
    if (further.allowed) return further
    if (refusalStepMs > 0) await sleep(refusalStepMs - ((performance.now() - startedAt) % refusalStepMs))
    return found?.isCertain === false ? { ...further, isPremature: true } : further
  }

  return {
    known: (identity, reference) => {
      const doors = doorsOf.reference(reference)
      const opening = identity.kind === 'robot' ? robotMay : knownOpening(reviews, identity, doorways(doors))
      return opening === undefined ? undefined : decisionOf(opening, doors)
    },
    decide: async (identity, reference) => {
      const digest = digestOf(reference)
      return digest === undefined || identity.kind === 'robot'
        ? await decide(identity, doorsOf.reference(reference))
        : await decideDigest(identity, reference, digest)
    },
    mayList: async (identity, reference) =>
      (await decide(identity, listedDoorsOf.reference(reference))).allowed,
    decideImageStream: async (identity, imageStream) =>
      await decide(identity, doorsOf.imageStream(imageStream)),
  }
}

/** The digest that decides about a reference, if one does. */
const digestOf = (reference: Reference): Digest | undefined => {
  if (reference.kind === 'digest') return reference.digest
  return reference.owner.by === 'digest' ? reference.owner.digest : undefined
}
