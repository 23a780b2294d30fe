/**
 * Decides by a SubjectAccessReview whether an identity may `get imagestreams/layers` in a namespace, or may use a path of the proxy. Each
 * requester has a share of the reviews in flight and of the cache, so that one cannot block the reviews of another or evict their answers.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
import type { ClusterIdentity } from '../access/identity.ts'
import type { AccessReviews, PathReviews } from '../access/reviews.ts'
import { pullAttributes } from '../access/pull-attributes.ts'
import { createAllowance } from '../concurrency/allowance.ts'
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import { PerKey } from '../concurrency/per-key.ts'
import type { ImageStream } from '../oci/reference.ts'
import type { AccessReviewSpec } from './api-server.ts'
import { ReviewShed } from './review-shed.ts'
import { ReviewCache, type Source } from './review-cache.ts'
import type { AccessAnswer } from './review-answer.ts'
import { shareOf } from './requester-group.ts'

export type AccessOutcome = 'allowed' | 'denied' | 'failed'

export interface AccessReviewerOptions {
  /** @param requester whose share of the reviews in flight it takes */
  readonly send: (spec: AccessReviewSpec, requester: string) => Promise<AccessAnswer>
  readonly allowTtlMs: number
  readonly denyTtlMs: number
  readonly graceMs: number
  readonly observe: (review: { kind: 'SubjectAccessReview'; outcome: AccessOutcome; source: Source }) => void
  /** Called for each review that was not sent because its requester was refused too often. */
  readonly observeLimited?: () => void
  /** Bound on cached answers of all requesters together. */
  readonly maxReviews?: number
  readonly now?: () => number
}

const defaultMaxReviews = 100_000
/** About 200 bytes each. */
const maxRequesters = 20_000
/** Refusals that a requester may cause: a list of all tags sends a review for each of the hundreds of namespaces of QCI. */
const refusals = { burst: 500, perSecond: 25 }
/** Milliseconds after a shed review for which its identity has no grace. */
const shedMs = 1000

type Attributes = Pick<AccessReviewSpec, 'resourceAttributes' | 'nonResourceAttributes'>

interface AccessRequest {
  readonly identity: ClusterIdentity
  readonly attributes: Attributes
}

export const createAccessReviewer = (options: AccessReviewerOptions): AccessReviews & PathReviews => {
  const { observe, now = Date.now } = options
  const reviews = createReviewCache(options, now)
  const shed = createBoundedCache<string, number>(maxRequesters)
  const answer = async (key: string, { identity, attributes }: AccessRequest) => {
    try {
      const { answer: allowed, source } = await reviews.answer(key, { identity, attributes })
      observe({ kind: 'SubjectAccessReview', outcome: allowed ? 'allowed' : 'denied', source })
      return { allowed, source }
    } catch (error) {
      if (error instanceof ReviewShed) shed.set(identity.key, now())
      else shed.delete(identity.key)
      throw error
    }
  }
  return {
    review: async (identity, imageStream) =>
      await answer(keyOf(identity, imageStream), {
        identity,
        attributes: { resourceAttributes: pullAttributes(imageStream) },
      }),
    // Unique: no name of an image stream begins with a slash.
    reviewPath: async (identity, { verb, path }) =>
      await answer(`${identity.key} ${verb} ${path}`, {
        identity,
        attributes: { nonResourceAttributes: { verb, path } },
      }),
    peek: (identity, imageStream) => reviews.peek(keyOf(identity, imageStream)),
    // The caller has just seen a review fail. If it was shed, the API server is available, and there is no grace.
    peekInGrace: (identity, imageStream) =>
      now() - (shed.get(identity.key) ?? -Infinity) < shedMs
        ? undefined
        : reviews.peekInGrace(keyOf(identity, imageStream)),
  }
}

const createReviewCache = (options: AccessReviewerOptions, now: () => number) => {
  const { send, allowTtlMs, denyTtlMs, graceMs, observe, observeLimited } = options
  const limited = createLimits(now, observeLimited)
  return new ReviewCache<AccessRequest, boolean>({
    load: async ({ identity, attributes }, last) => {
      const requester = shareOf(identity)
      const sendNow = async () => (await send(specOf(identity, attributes), requester)).allowed
      // A former yes most probably is one again, so the refusals of others in the same share do not limit it.
      return last === true ? await sendNow() : await limited(requester, sendNow)
    },
    onUnanswered: () => observe({ kind: 'SubjectAccessReview', outcome: 'failed', source: 'live' }),
    ttlMs: (allowed) => (allowed ? allowTtlMs : denyTtlMs),
    graceMs: (allowed) => (allowed ? graceMs : 0),
    ownerOf: ({ identity }) => shareOf(identity),
    max: options.maxReviews ?? defaultMaxReviews,
    now,
  })
}

/** Charges a requester for each no, as a network is charged for each refused token. @throws {ReviewShed} TOOMANYREQUESTS */
const createLimits = (now: () => number, observeLimited: () => void = () => undefined) => {
  const allowances = new PerKey(maxRequesters, () => createAllowance({ ...refusals, now }))
  return async (requester: string, send: () => Promise<boolean>): Promise<boolean> => {
    const allowance = allowances.of(requester)
    if (allowance.state() !== 'free') {
      observeLimited()
      throw tooMany(allowance.retryAfterSeconds())
    }
    allowance.hold()
    let allowed = true
    try {
      allowed = await send()
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

// Unique, because neither a base64 hash nor a namespace nor the name of an image stream contains a space.
const keyOf = (identity: ClusterIdentity, { namespace, name = '' }: ImageStream): string =>
  `${identity.key} ${namespace} ${name}`

const specOf = ({ user }: ClusterIdentity, attributes: Attributes): AccessReviewSpec => ({
  user: user.username,
  ...(user.uid === undefined ? {} : { uid: user.uid }),
  groups: user.groups,
  extra: user.extra,
  ...attributes,
})
