/**
 * Decides whether an identity may pull a reference: which reviews decide, and which yes counts first. Reviews are sent together. It does
 * no I/O of its own.
 *
 * QCI-wide access is the review in the QCI namespace, which has the role `qci-image-puller`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LookFurther } from '../digests/look-further.ts'
import type { Digest, ImageStream, Reference } from '../oci/reference.ts'
import type { Decision } from './decision.ts'
import { maxReviewsPerDecision, type AccessReviews } from './reviews.ts'
import type { AccessRequirement, RequirementsOf } from './requirement.ts'
import { localGrants, type RecentGrants } from './recent-grants.ts'
import type { ClusterIdentity, Identity } from './identity.ts'
import { decisionOf, reviewedGrant, cachedGrant, robotGrant, type CandidateReview } from './grant.ts'

export type { Decision } from './decision.ts'
export type { AccessReviews } from './reviews.ts'

export interface Policy {
  /** Without a promise if a cached yes decides, as for nearly all requests of a pull. */
  readonly decide: (identity: Identity, reference: Reference) => Decision | Promise<Decision>
  /**
   * As `decide`, but nobody may pull unseen digests. `decide` opens them to QCI-wide users because nobody can guess a digest. A list would
   * reveal them.
   */
  readonly mayList: (identity: Identity, reference: Reference) => Promise<boolean>
  /** For the images of an image stream; undefined: images without one. For lists, before any tag is known. */
  readonly decideImageStream: (identity: Identity, imageStream: ImageStream | undefined) => Promise<Decision>
}

export interface PolicyOptions {
  readonly reviews: AccessReviews
  readonly requirementsOf: RequirementsOf
  /** The same requirements, but unseen digests are closed. */
  readonly listedRequirementsOf: RequirementsOf
  readonly qciNamespace: string
  readonly lookFurther?: LookFurther | undefined
  /** Recent grants of this replica only, unless given. */
  readonly recentGrants?: RecentGrants
  /** Milliseconds: the time of a refused digest is rounded up to a multiple of them. */
  readonly refusalStepMs?: number
}

/** Attack: the time of a refusal would show in how many namespaces a digest was seen. */
const defaultRefusalStepMs = 100

export const createPolicy = (options: PolicyOptions): Policy => new ReviewPolicy(options)

class ReviewPolicy implements Policy {
  readonly #options: PolicyOptions
  readonly #recentGrants: RecentGrants
  readonly #refusalStepMs: number
  readonly #qci: ImageStream

  constructor(options: PolicyOptions) {
    this.#options = options
    this.#recentGrants = options.recentGrants ?? localGrants()
    this.#refusalStepMs = options.refusalStepMs ?? defaultRefusalStepMs
    this.#qci = { namespace: options.qciNamespace }
  }

  // Fields, because callers take single functions.
  readonly decide: Policy['decide'] = (identity, reference) =>
    this.#decideBy(identity, this.#options.requirementsOf.reference(reference), reference)

  readonly mayList: Policy['mayList'] = async (identity, reference) => {
    const requirement = this.#options.listedRequirementsOf.reference(reference)
    return (await this.#decideBy(identity, requirement)).allowed
  }

  readonly decideImageStream: Policy['decideImageStream'] = async (identity, imageStream) =>
    await this.#decideBy(identity, this.#options.requirementsOf.imageStream(imageStream))

  /** @param searched the reference whose digest is looked for further if all reviews say no */
  #decideBy(
    identity: Identity,
    requirement: AccessRequirement,
    searched?: Reference,
  ): Decision | Promise<Decision> {
    if (identity.kind === 'robot') return decisionOf(robotGrant, requirement)
    const candidates = candidatesOf(requirement, this.#qci)
    const cached = cachedGrant(this.#options.reviews.peek, identity, candidates)
    if (cached !== undefined) return decisionOf(cached, requirement)
    const digest = searched === undefined ? undefined : digestOf(searched)
    return searched === undefined || digest === undefined
      ? this.#review(identity, requirement, candidates)
      : this.#reviewDigest(identity, requirement, { reference: searched, digest })
  }

  async #review(
    identity: ClusterIdentity,
    requirement: AccessRequirement,
    candidates: readonly CandidateReview[],
  ): Promise<Decision> {
    const { reviews } = this.#options
    const grant = await reviewedGrant({ reviews, recentGrants: this.#recentGrants }, identity, candidates)
    const decision = decisionOf(grant, requirement)
    if (decision.allowed || requirement.qciWide !== 'later') return decision
    const { allowed } = await reviews.review(identity, this.#qci)
    return allowed ? { ...decision, isPremature: true } : decision
  }

  async #reviewDigest(
    identity: ClusterIdentity,
    before: AccessRequirement,
    { reference, digest }: { readonly reference: Reference; readonly digest: Digest },
  ): Promise<Decision> {
    const { reviews, requirementsOf, lookFurther } = this.#options
    const startedAt = performance.now()
    const decision = await this.#review(identity, before, candidatesOf(before, this.#qci))
    if (decision.allowed) return decision
    const found = await lookFurther?.(digest, {
      repository: reference.repository,
      requester: identity.user.username,
      mayPull: async (imageStream) => (await reviews.review(identity, imageStream)).allowed,
    })
    const requirement = requirementsOf.reference(reference)
    const hasRecent =
      candidatesOf(requirement, this.#qci).length > maxReviewsPerDecision &&
      (await this.#recentGrants.lookUp(identity))
    // Trap: facts that another replica published during the first reviews are not found by looking further.
    const isWorthRetry =
      hasRecent || found?.hasNewFacts === true || JSON.stringify(requirement) !== JSON.stringify(before)
    const further = isWorthRetry ? await this.#decideBy(identity, requirement) : decision
    if (further.allowed) return further
    const stepMs = this.#refusalStepMs
    if (stepMs > 0) await sleep(stepMs - ((performance.now() - startedAt) % stepMs))
    return found?.isCertain === false ? { ...further, isPremature: true } : further
  }
}

/** Each yes of these reviews satisfies the requirement. QCI-wide access comes first, then the newest image stream. */
const candidatesOf = (
  { imageStreams, qciWide }: AccessRequirement,
  qci: ImageStream,
): readonly CandidateReview[] => [
  ...(qciWide === true ? [{ imageStream: qci, rule: 'qci-wide' as const }] : []),
  ...imageStreams.toReversed().map((imageStream) => ({ imageStream, rule: 'image-puller' as const })),
]

/** The digest that decides about a reference, if one does. */
const digestOf = (reference: Reference): Digest | undefined => {
  if (reference.kind === 'digest') return reference.digest
  return reference.owner.by === 'digest' ? reference.owner.digest : undefined
}
