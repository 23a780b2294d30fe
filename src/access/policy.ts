/**
 * May they? Which reviews decide a reference, and in which order. No I/O of its own.
 *
 * QCI-wide is the review in the QCI namespace, where the role `qci-image-puller` lives.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LookFurther } from '../digests/look-further.ts'
import type { Digest, ImageStream, Reference } from '../oci/reference.ts'
import { maxReviewsPerDecision, type AccessReviews, type Decision } from './decision.ts'
import type { AccessRequirement, RequirementsOf } from './requirement.ts'
import { localGrants, type RememberedGrants } from './remembered-grants.ts'
import type { ClusterIdentity, Identity } from './identity.ts'
import { decisionOf, firstGrant, knownGrant, robotGrant, type CandidateReview } from './grant.ts'

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
  readonly requirementsOf: RequirementsOf
  /** The same requirement, closed for what nobody has seen. */
  readonly listedRequirementsOf: RequirementsOf
  readonly qciNamespace: string
  readonly lookFurther?: LookFurther | undefined
  /** Where people were let in lately; of this process alone unless told. */
  readonly rememberedGrants?: RememberedGrants
  /** Milliseconds: a digest is refused after a multiple of them. */
  readonly refusalStepMs?: number
}

/** Attack: the time that a refusal takes would tell in how many namespaces a digest is known. */
const defaultRefusalStepMs = 100

export const createPolicy = (options: PolicyOptions): Policy => {
  const { reviews, requirementsOf, listedRequirementsOf, qciNamespace, lookFurther } = options
  const { refusalStepMs = defaultRefusalStepMs, rememberedGrants = localGrants() } = options
  const qci: ImageStream = { namespace: qciNamespace }

  const candidates = ({ imageStreams, qciWide }: AccessRequirement): readonly CandidateReview[] => [
    ...(qciWide === true ? [{ imageStream: qci, rule: 'qci-wide' as const }] : []),
    ...imageStreams.toReversed().map((imageStream) => ({ imageStream, rule: 'image-puller' as const })),
  ]

  const decide = async (identity: Identity, requirement: AccessRequirement): Promise<Decision> => {
    if (identity.kind === 'robot') return decisionOf(robotGrant, requirement)
    const grant = await firstGrant({ reviews, rememberedGrants }, identity, candidates(requirement))
    const decision = decisionOf(grant, requirement)
    if (decision.allowed || requirement.qciWide !== 'later') return decision
    const { allowed } = await reviews.review(identity, qci)
    return allowed ? { ...decision, isPremature: true } : decision
  }

  const decideDigest = async (
    identity: ClusterIdentity,
    reference: Reference,
    digest: Digest,
  ): Promise<Decision> => {
    const startedAt = performance.now()
    const before = requirementsOf.reference(reference)
    const decision = await decide(identity, before)
    if (decision.allowed) return decision
    const found = await lookFurther?.(digest, {
      repository: reference.repository,
      requester: identity.user.username,
      mayPull: async (imageStream) => (await reviews.review(identity, imageStream)).allowed,
    })
    const requirement = requirementsOf.reference(reference)
    const isTold =
      candidates(requirement).length > maxReviewsPerDecision && (await rememberedGrants.lookUp(identity))
    // Trap: what another replica has told while the first reviews were waited for was not learnt by looking further.
    const isWorth =
      isTold || found?.hasNewFacts === true || JSON.stringify(requirement) !== JSON.stringify(before)
    const further = isWorth ? await decide(identity, requirement) : decision
    if (further.allowed) return further
    if (refusalStepMs > 0) await sleep(refusalStepMs - ((performance.now() - startedAt) % refusalStepMs))
    return found?.isCertain === false ? { ...further, isPremature: true } : further
  }

  return {
    known: (identity, reference) => {
      const requirement = requirementsOf.reference(reference)
      const grant =
        identity.kind === 'robot' ? robotGrant : knownGrant(reviews, identity, candidates(requirement))
      return grant === undefined ? undefined : decisionOf(grant, requirement)
    },
    decide: async (identity, reference) => {
      const digest = digestOf(reference)
      return digest === undefined || identity.kind === 'robot'
        ? await decide(identity, requirementsOf.reference(reference))
        : await decideDigest(identity, reference, digest)
    },
    mayList: async (identity, reference) =>
      (await decide(identity, listedRequirementsOf.reference(reference))).allowed,
    decideImageStream: async (identity, imageStream) =>
      await decide(identity, requirementsOf.imageStream(imageStream)),
  }
}

/** The digest that decides about a reference, if one does. */
const digestOf = (reference: Reference): Digest | undefined => {
  if (reference.kind === 'digest') return reference.digest
  return reference.owner.by === 'digest' ? reference.owner.digest : undefined
}
