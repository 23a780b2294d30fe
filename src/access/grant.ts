/**
 * The grant that opens a reference: the first yes among its candidate reviews.
 */
import type { ImageStream } from '../oci/reference.ts'
import type { AccessRequirement } from './requirement.ts'
import { serviceAccountOf, type ClusterIdentity } from './identity.ts'
import type { Decision } from './decision.ts'
import { maxReviewsPerDecision, type AccessReviews } from './reviews.ts'
import type { RecentGrants } from './recent-grants.ts'

/** The rule that opened a reference, and the namespace whose review said yes. */
export interface Grant {
  readonly rule: Decision['rule']
  readonly grantedBy?: string
  readonly source: Decision['source']
}

/** Where reviews come from, and the recent grants that order many candidates. */
export interface GrantSources {
  readonly reviews: AccessReviews
  readonly recentGrants: RecentGrants
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

/** A review that opens a reference if its answer is yes. */
export interface CandidateReview {
  readonly imageStream: ImageStream
  readonly rule: 'qci-wide' | 'image-puller'
}

/**
 * The first yes of reviews that are not cached. All of them are sent at once. If a review fails, a cached yes in its grace counts.
 *
 * Attack: reviews one after the other would show by their time how many candidates there are.
 */
export const reviewedGrant = async (
  { reviews, recentGrants }: GrantSources,
  identity: ClusterIdentity,
  candidates: readonly CandidateReview[],
): Promise<Grant> => {
  const sent = inOrder(recentGrants, identity, candidates).slice(0, maxReviewsPerDecision)
  const answers = await Promise.allSettled(
    sent.map(async ({ imageStream }) => await reviews.review(identity, imageStream)),
  )
  const answered = answers.flatMap((answer, index) =>
    answer.status === 'fulfilled' ? [{ ...answer.value, candidate: sent[index] as CandidateReview }] : [],
  )
  const yes = answered.find(({ allowed }) => allowed)
  if (yes !== undefined) {
    const { candidate, source } = yes
    if (candidate.rule === 'image-puller' && source === 'live')
      await recentGrants.record(identity, candidate.imageStream)
    return opened(candidate, source)
  }
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (failed === undefined) return { rule: 'none', source: sourceOf(answered) }
  const outdated = cachedGrant(reviews.peekInGrace, identity, candidates, 'grace')
  if (outdated === undefined) throw failed.reason
  return outdated
}

/** The source of a refusal: `live` if any of its reviews was sent. */
const sourceOf = (
  answers: readonly { readonly source: 'live' | 'cached' | 'grace' }[],
): Decision['source'] =>
  answers.some(({ source }) => source === 'live') ? 'live' : (answers.at(-1)?.source ?? 'none')

/** The grant of the first cached yes; sends no review. */
export const cachedGrant = (
  peek: AccessReviews['peek'],
  identity: ClusterIdentity,
  candidates: readonly CandidateReview[],
  source: 'cached' | 'grace' = 'cached',
): Grant | undefined => {
  const candidate = candidates.find(({ imageStream }) => peek(identity, imageStream) === true)
  return candidate && opened(candidate, source)
}

/**
 * The order: QCI-wide access, which most users have; the namespace of a service account; recent grants; one stream of each namespace, the
 * newest first; the rest. Most access is to a whole namespace, so that any stream of it shows the access. Thus the bound on reviews is a
 * bound on namespaces rather than on streams.
 */
const inOrder = (
  recentGrants: RecentGrants,
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
    const recent = recentGrants.match(identity, imageStream)
    if (recent === 'stream' || (isFirst && recent === 'namespace')) return 2
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
