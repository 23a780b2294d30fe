/**
 * What opens a reference: the first yes among the reviews that would open it.
 */
import type { ImageStream } from '../oci/reference.ts'
import type { AccessRequirement } from './requirement.ts'
import { serviceAccountOf, type ClusterIdentity } from './identity.ts'
import { maxReviewsPerDecision, type AccessReviews, type Decision } from './decision.ts'
import type { RememberedGrants } from './remembered-grants.ts'

/** What opened a reference: a rule, and the namespace whose review said yes where one was asked. */
export interface Grant {
  readonly rule: Decision['rule']
  readonly grantedBy?: string
  readonly source: Decision['source']
}

/** The reviews, and in which order they are asked for where there are many. */
export interface Asking {
  readonly reviews: AccessReviews
  readonly rememberedGrants: RememberedGrants
}

export const robotGrant: Grant = { rule: 'robot', source: 'none' }

export const decisionOf = (
  { rule, grantedBy, source }: Grant,
  { namespace }: AccessRequirement,
): Decision => ({
  allowed: rule !== 'none',
  rule,
  ...(namespace === undefined ? {} : { namespace }),
  ...(grantedBy === undefined ? {} : { grantedBy }),
  source,
})

/** A review whose yes opens a reference. */
export interface CandidateReview {
  readonly imageStream: ImageStream
  readonly rule: 'qci-wide' | 'image-puller'
}

/**
 * The first yes of the reviews that are not cached. All of them are sent at once, since the time that one after the other takes would tell
 * how many there are. While the API server is down, a cached yes in its grace counts, and nothing else.
 */
export const reviewedGrant = async (
  { reviews, rememberedGrants }: Asking,
  identity: ClusterIdentity,
  candidates: readonly CandidateReview[],
): Promise<Grant> => {
  const asked = inOrder(rememberedGrants, identity, candidates).slice(0, maxReviewsPerDecision)
  const answers = await Promise.allSettled(
    asked.map(async ({ imageStream }) => await reviews.review(identity, imageStream)),
  )
  const answered = answers.flatMap((answer, index) =>
    answer.status === 'fulfilled' ? [{ ...answer.value, candidate: asked[index] as CandidateReview }] : [],
  )
  const yes = answered.find(({ allowed }) => allowed)
  if (yes !== undefined) {
    const { candidate, source } = yes
    if (candidate.rule === 'image-puller' && source === 'live')
      await rememberedGrants.record(identity, candidate.imageStream)
    return opened(candidate, source)
  }
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (failed === undefined) return { rule: 'none', source: sourceOf(answered) }
  const outdated = firstOf(candidates, identity, reviews.peekInGrace)
  if (outdated === undefined) throw failed.reason
  return opened(outdated, 'grace')
}

/** Of a refusal: whether the API server was asked for any part of it. */
const sourceOf = (
  answers: readonly { readonly source: 'live' | 'cached' | 'grace' }[],
): Decision['source'] =>
  answers.some(({ source }) => source === 'live') ? 'live' : (answers.at(-1)?.source ?? 'none')

/** A cached yes: no review is sent. */
export const cachedGrant = (
  { peek }: AccessReviews,
  identity: ClusterIdentity,
  candidates: readonly CandidateReview[],
): Grant | undefined => {
  const candidate = firstOf(candidates, identity, peek)
  return candidate === undefined ? undefined : opened(candidate, 'cached')
}

const firstOf = (
  candidates: readonly CandidateReview[],
  identity: ClusterIdentity,
  peek: AccessReviews['peek'],
) => candidates.find(({ imageStream }) => peek(identity, imageStream) === true)

/**
 * QCI-wide first, which most people have; then the namespace of a service account; then where they were let in lately; then a stream of
 * each namespace, newest first; then the rest. Most rights are of a whole namespace, and any stream of it shows them: the bound is on
 * namespaces rather than on streams.
 */
const inOrder = (
  rememberedGrants: RememberedGrants,
  identity: ClusterIdentity,
  candidates: readonly CandidateReview[],
): readonly CandidateReview[] => {
  const own = serviceAccountOf(identity.user.username)?.namespace
  const seen = new Set<string>()
  const ranks = candidates.map(({ rule, imageStream }) => {
    if (rule === 'qci-wide') return 0
    const { namespace } = imageStream
    const isFirst = !seen.has(namespace)
    seen.add(namespace)
    if (isFirst && namespace === own) return 1
    const held = rememberedGrants.holds(identity, imageStream)
    if (held === 'stream' || (isFirst && held === 'namespace')) return 2
    return isFirst ? 3 : 4
  })
  return candidates
    .map((candidate, index) => ({ candidate, rank: ranks[index] as number }))
    .toSorted((one, other) => one.rank - other.rank)
    .map(({ candidate }) => candidate)
}

const opened = ({ rule, imageStream }: CandidateReview, source: Decision['source']): Grant => ({
  rule,
  grantedBy: imageStream.namespace,
  source,
})
