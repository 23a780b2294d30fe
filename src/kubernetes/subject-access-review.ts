/**
 * May this identity `get imagestreams/layers` in a namespace, by a SubjectAccessReview. Shared out by who asks: nobody's questions
 * shut out another's, nor push what was answered to them out of memory.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
import { LRUCache } from 'lru-cache'
import type { ClusterIdentity } from '../access/identity.ts'
import type { AccessReviews } from '../access/policy.ts'
import { createAllowance } from '../concurrency/allowance.ts'
import { PerKey } from '../concurrency/per-key.ts'
import type { ImageStream } from '../oci/reference.ts'
import type { AccessQuestion } from './api-server.ts'
import { ReviewShed } from './review-shed.ts'
import { createReviewCache, type Source } from './review-cache.ts'
import type { AccessAnswer } from './review-answer.ts'
import { shareOf } from './requester-group.ts'

export interface AccessReviewerOptions {
  /** @param requester whose share of the questions in flight it takes */
  readonly ask: (spec: AccessQuestion, requester: string) => Promise<AccessAnswer>
  readonly allowTtlMs: number
  readonly denyTtlMs: number
  readonly graceMs: number
  readonly observe: (review: { outcome: 'allowed' | 'denied' | 'failed'; source: Source }) => void
  /** Called for each question that was not asked since its requester was refused too often. */
  readonly observeLimited?: () => void
  /** Bound on remembered answers of all requesters together. */
  readonly maxReviews?: number
  readonly now?: () => number
}

const defaultMaxReviews = 100_000
/** About 200 bytes each. */
const maxRequesters = 20_000
/**
 * Refusals that a requester may cause: a list of all tags asks once for each namespace of QCI, which are hundreds, and is answered no
 * for most of them.
 */
const refusals = { burst: 500, perSecond: 25 }
/** Milliseconds for which an identity that was shed has no grace. */
const shedMs = 1000

interface Question {
  readonly identity: ClusterIdentity
  readonly imageStream: ImageStream
}

export const createAccessReviewer = (options: AccessReviewerOptions): AccessReviews => {
  const { ask, allowTtlMs, denyTtlMs, graceMs, observe, observeLimited } = options
  const { maxReviews = defaultMaxReviews, now = Date.now } = options
  const limits = createLimits(now, observeLimited)
  const reviews = createReviewCache<Question, boolean>({
    ask: async ({ identity, imageStream }, last) => {
      const requester = shareOf(identity)
      const askNow = async () => (await ask(specOf(identity, imageStream), requester)).allowed
      // What was a yes is most probably one still: somebody else's refusals in the same share are not in its way.
      return last === true ? await askNow() : await limits(requester, askNow)
    },
    ttlMs: (allowed) => (allowed ? allowTtlMs : denyTtlMs),
    graceMs: (allowed) => (allowed ? graceMs : 0),
    ownerOf: ({ identity }) => shareOf(identity),
    max: maxReviews,
    now,
  })
  const shed = new LRUCache<string, number>({ maxSize: maxRequesters, sizeCalculation: () => 1 })

  return {
    review: async (identity, imageStream) => {
      try {
        const key = keyOf(identity, imageStream)
        const { answer: allowed, source } = await reviews.answer(key, { identity, imageStream })
        observe({ outcome: allowed ? 'allowed' : 'denied', source })
        return { allowed, source }
      } catch (error) {
        if (error instanceof ReviewShed) shed.set(identity.key, now())
        else shed.delete(identity.key)
        observe({ outcome: 'failed', source: 'live' })
        throw error
      }
    },
    peek: (identity, imageStream) => reviews.peek(keyOf(identity, imageStream)),
    // Whoever asks has just seen a question fail. Where that was shed, the API server is not away, and nothing outlives its life.
    peekInGrace: (identity, imageStream) =>
      now() - (shed.get(identity.key) ?? -Infinity) < shedMs
        ? undefined
        : reviews.peekInGrace(keyOf(identity, imageStream)),
  }
}

/** Charges a requester for each no, as an address is charged for each refused token. @throws {ReviewShed} TOOMANYREQUESTS */
const createLimits = (now: () => number, observeLimited: () => void = () => undefined) => {
  const allowances = new PerKey(maxRequesters, () => createAllowance({ ...refusals, now }))
  return async (requester: string, ask: () => Promise<boolean>): Promise<boolean> => {
    const allowance = allowances.of(requester)
    if (allowance.state() !== 'free') {
      observeLimited()
      throw tooMany(allowance.retryAfterSeconds())
    }
    allowance.hold()
    let allowed = true
    try {
      allowed = await ask()
      return allowed
    } finally {
      allowance.settle(allowed ? 0 : 1)
    }
  }
}

const tooMany = (seconds: number): ReviewShed =>
  new ReviewShed(
    'TOOMANYREQUESTS',
    `you asked for too many images that you may not pull; check their names, and try again in ${seconds} s`,
    { headers: { 'retry-after': String(seconds) } },
  )

// Neither a base64 hash nor a namespace nor an image stream's name holds a space.
const keyOf = (identity: ClusterIdentity, { namespace, name = '' }: ImageStream): string =>
  `${identity.key} ${namespace} ${name}`

const specOf = ({ user }: ClusterIdentity, imageStream: ImageStream): AccessQuestion => ({
  user: user.username,
  ...(user.uid === undefined ? {} : { uid: user.uid }),
  groups: user.groups,
  extra: user.extra,
  resourceAttributes: pullAttributes(imageStream),
})

/** `get imagestreams/layers`, in the split form: it matches every rule that the joined one matches, and `*\/layers` too. */
export const pullAttributes = ({ namespace, name }: ImageStream) => ({
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
  namespace,
  ...(name === undefined ? {} : { name }),
})
