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
import { decisionOf, reviewedGrant, cachedGrant, robotGrant, type CandidateReview } from './grant.ts'

export type { AccessReviews, Decision } from './decision.ts'

export interface Policy {
  /** At once, without a promise, where a cached yes decides: as it is with nearly all requests of a pull. */
  readonly decide: (identity: Identity, reference: Reference) => Decision | Promise<Decision>
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
  const policy = new ReviewPolicy(options)
  // Bound, since callers take single functions of it.
  return {
    decide: (identity, reference) => policy.decide(identity, reference),
    mayList: async (identity, reference) => await policy.mayList(identity, reference),
    decideImageStream: async (identity, imageStream) => await policy.decideImageStream(identity, imageStream),
  }
}

class ReviewPolicy implements Policy {
  readonly #options: PolicyOptions
  readonly #rememberedGrants: RememberedGrants
  readonly #refusalStepMs: number
  readonly #qci: ImageStream

  constructor(options: PolicyOptions) {
    this.#options = options
    this.#rememberedGrants = options.rememberedGrants ?? localGrants()
    this.#refusalStepMs = options.refusalStepMs ?? defaultRefusalStepMs
    this.#qci = { namespace: options.qciNamespace }
  }

  decide(identity: Identity, reference: Reference): Decision | Promise<Decision> {
    return this.#decideBy(identity, this.#options.requirementsOf.reference(reference), reference)
  }

  async mayList(identity: Identity, reference: Reference): Promise<boolean> {
    const requirement = this.#options.listedRequirementsOf.reference(reference)
    return (await this.#decideBy(identity, requirement)).allowed
  }

  async decideImageStream(identity: Identity, imageStream: ImageStream | undefined): Promise<Decision> {
    return await this.#decideBy(identity, this.#options.requirementsOf.imageStream(imageStream))
  }

  /** @param searched the reference whose digest is searched for further, once the reviews have said no */
  #decideBy(
    identity: Identity,
    requirement: AccessRequirement,
    searched?: Reference,
  ): Decision | Promise<Decision> {
    if (identity.kind === 'robot') return decisionOf(robotGrant, requirement)
    const candidates = candidatesOf(requirement, this.#qci)
    const cached = cachedGrant(this.#options.reviews, identity, candidates)
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
    const grant = await reviewedGrant(
      { reviews, rememberedGrants: this.#rememberedGrants },
      identity,
      candidates,
    )
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
    const isTold =
      candidatesOf(requirement, this.#qci).length > maxReviewsPerDecision &&
      (await this.#rememberedGrants.lookUp(identity))
    // Trap: what another replica has told while the first reviews were waited for was not learnt by looking further.
    const isWorth =
      isTold || found?.hasNewFacts === true || JSON.stringify(requirement) !== JSON.stringify(before)
    const further = isWorth ? await this.#decideBy(identity, requirement) : decision
    if (further.allowed) return further
    const stepMs = this.#refusalStepMs
    if (stepMs > 0) await sleep(stepMs - ((performance.now() - startedAt) % stepMs))
    return found?.isCertain === false ? { ...further, isPremature: true } : further
  }
}

/** The reviews of which each yes satisfies a requirement: QCI-wide first, then the newest image stream first. */
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
