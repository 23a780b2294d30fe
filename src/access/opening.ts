/**
 * What opens a reference: the first yes among the reviews that would open it.
 */
import type { ImageStream } from '../reference.ts'
import type { Doors } from './doors.ts'
import { serviceAccountOf, type ClusterIdentity } from './identity.ts'
import { maxReviewsPerDecision, type AccessReviews, type Decision } from './decision.ts'
import type { Granted } from './granted.ts'

/** What opened a reference: a rule, and the namespace whose review said yes where one was asked. */
export interface Opening {
  readonly rule: Decision['rule']
  readonly grantedBy?: string
  readonly source: Decision['source']
}

/** The reviews, and in which order they are asked for where there are many. */
export interface Asking {
  readonly reviews: AccessReviews
  readonly granted: Granted
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
export interface Doorway {
  readonly imageStream: ImageStream
  readonly rule: 'qci-wide' | 'image-puller'
}

/**
 * What is known to be open costs nothing. All others are asked at once, since the time that one after the other takes would tell how many
 * there are. While the API server is away, whichever of them it opened not long ago still counts, and nothing else.
 */
export const firstOpen = async (
  { reviews, granted }: Asking,
  identity: ClusterIdentity,
  doorways: readonly Doorway[],
): Promise<Opening> => {
  const remembered = knownOpening(reviews, identity, doorways)
  if (remembered !== undefined) return remembered
  const asked = inOrder(granted, identity, doorways).slice(0, maxReviewsPerDecision)
  const answers = await Promise.allSettled(
    asked.map(async ({ imageStream }) => await reviews.review(identity, imageStream)),
  )
  const answered = answers.flatMap((answer, index) =>
    answer.status === 'fulfilled' ? [{ ...answer.value, doorway: asked[index] as Doorway }] : [],
  )
  const yes = answered.find(({ allowed }) => allowed)
  if (yes !== undefined) {
    const { doorway, source } = yes
    if (doorway.rule === 'image-puller' && source === 'asked')
      await granted.record(identity, doorway.imageStream)
    return opened(doorway, source)
  }
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (failed === undefined) return { rule: 'none', source: sourceOf(answered) }
  const outdated = firstOf(doorways, identity, reviews.peekInGrace)
  if (outdated === undefined) throw failed.reason
  return opened(outdated, 'grace')
}

/** Of a refusal: whether the API server was asked for any part of it. */
const sourceOf = (
  answers: readonly { readonly source: 'asked' | 'cached' | 'grace' }[],
): Decision['source'] =>
  answers.some(({ source }) => source === 'asked') ? 'asked' : (answers.at(-1)?.source ?? 'none')

export const knownOpening = (
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
 * QCI-wide first, which most people have; then the namespace of a service account; then where they were let in lately; then a stream of
 * each namespace, newest first; then the rest. Most rights are of a whole namespace, and any stream of it shows them: the bound is on
 * namespaces rather than on streams.
 */
const inOrder = (
  granted: Granted,
  identity: ClusterIdentity,
  doorways: readonly Doorway[],
): readonly Doorway[] => {
  const own = serviceAccountOf(identity.user.username)?.namespace
  const seen = new Set<string>()
  const ranks = doorways.map(({ rule, imageStream }) => {
    if (rule === 'qci-wide') return 0
    const { namespace } = imageStream
    const isFirst = !seen.has(namespace)
    seen.add(namespace)
    if (isFirst && namespace === own) return 1
    const held = granted.holds(identity, imageStream)
    if (held === 'stream' || (isFirst && held === 'namespace')) return 2
    return isFirst ? 3 : 4
  })
  return doorways
    .map((doorway, index) => ({ doorway, rank: ranks[index] as number }))
    .toSorted((one, other) => one.rank - other.rank)
    .map(({ doorway }) => doorway)
}

const opened = ({ rule, imageStream }: Doorway, source: Decision['source']): Opening => ({
  rule,
  grantedBy: imageStream.namespace,
  source,
})
