/**
 * Bearer token -> who it belongs to, by a TokenReview.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { V1TokenReviewSpec, V1TokenReviewStatus, V1UserInfo } from '@kubernetes/client-node'
import { decodeJwt } from 'jose'
import { LRUCache } from 'lru-cache'
import type { ClusterIdentity, UserInfo } from '../access/identity.ts'
import type { Admit, Outcome } from './admission.ts'
import { createRemembered, type Source } from './remembered.ts'

export type ReviewedToken =
  | {
      readonly authenticated: true
      readonly identity: ClusterIdentity
      readonly expiresAt: number | undefined
    }
  | { readonly authenticated: false; readonly reason: string }

/** `again` is the identity for as long as the review of this token holds: asks nobody, and does not need the token. */
export type Answered = ReviewedToken & { readonly again?: () => ClusterIdentity | undefined }

/**
 * @param client the address it was shown from
 * @throws {RegistryError} UNAVAILABLE where the API server does not answer: that is not a refusal; what `admit` throws
 */
export type ReviewToken = (bearerToken: string, client: string) => Promise<Answered>

export interface TokenReviewerOptions {
  /** @param isFamiliar the token was accepted before: it need not wait behind those that were not */
  readonly ask: (spec: V1TokenReviewSpec, isFamiliar: boolean) => Promise<V1TokenReviewStatus>
  /** Whether an address may have one more unknown token reviewed. */
  readonly admit: Admit
  /** Audiences accepted beside the API server's own. */
  readonly audiences: readonly string[]
  /** Milliseconds for which an identity holds. */
  readonly identityTtlMs: number
  /** Milliseconds for which an identity counts while the API server is away. */
  readonly graceMs: number
  readonly observe: (review: { outcome: 'authenticated' | 'refused' | 'failed'; source: Source }) => void
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * The audience of the API server itself. A review that names audiences must name it too: tokens of `oc whoami -t` carry
 * no other, and would all be refused.
 */
const apiServerAudience = 'https://kubernetes.default.svc'

/** "Not authenticated" may hide an outage of the OAuth server behind the API server: it is believed for seconds only. */
const refusalTtlMs = 5000
const maxIdentities = 10_000
/** About 150 bytes each. Not those of identities: refusals, which share that cache, push nobody out of this one. */
const maxFamiliar = 50_000

interface Question {
  readonly token: string
  readonly isFamiliar: boolean
}

export const createTokenReviewer = (options: TokenReviewerOptions): ReviewToken => {
  const { ask, admit, audiences, identityTtlMs, graceMs, observe, now = Date.now } = options
  // Keys are HMACs under a key of this process: a heap dump or an offline guess must not give tokens away.
  const processKey = randomBytes(32)
  const asked = audiences.length === 0 ? [] : [apiServerAudience, ...audiences]
  const remaining = (review: ReviewedToken, atMostMs: number): number =>
    review.authenticated && review.expiresAt !== undefined
      ? Math.min(atMostMs, review.expiresAt - now())
      : atMostMs

  const reviews = createRemembered<Question, ReviewedToken>({
    ask: async ({ token, isFamiliar }) => {
      const spec = asked.length === 0 ? { token } : { token, audiences: asked }
      const review = read(await ask(spec, isFamiliar), asked, token)
      // The API server accepts a token for up to a minute after its `exp`.
      if (remaining(review, Infinity) <= 0) return { authenticated: false, reason: 'the token has expired' }
      return review
    },
    ttlMs: (review) => (review.authenticated ? remaining(review, identityTtlMs) : refusalTtlMs),
    graceMs: (review) => (review.authenticated && remaining(review, graceMs) > 0 ? graceMs : 0),
    max: maxIdentities,
    now,
  })

  const familiar = new LRUCache<string, true>({ max: maxFamiliar })
  const review = async (key: string, token: string, isFamiliar: boolean): Promise<Reviewed> => {
    try {
      const reviewed = await reviews.answer(key, { token, isFamiliar })
      if (reviewed.answer.authenticated) familiar.set(key, true)
      else familiar.delete(key)
      return reviewed
    } catch (error) {
      observe({ outcome: 'failed', source: 'asked' })
      throw error
    }
  }
  const reviewStranger = shareByKey(admit, review)

  const again = (key: string) => (): ClusterIdentity | undefined => {
    const known = reviews.known(key)
    if (known?.answer.authenticated !== true) return undefined
    observe({ outcome: 'authenticated', source: known.source })
    return known.answer.identity
  }

  return async (bearerToken, client) => {
    const key = createHmac('sha256', processKey).update(bearerToken).digest('base64')
    // What is remembered costs nothing, be it a refusal; what was accepted before may not suffer from what others show.
    const isFamiliar = familiar.get(key) === true
    const { answer, source } =
      isFamiliar || reviews.peek(key) !== undefined
        ? await review(key, bearerToken, isFamiliar)
        : await reviewStranger(key, bearerToken, client)
    observe({ outcome: answer.authenticated ? 'authenticated' : 'refused', source })
    return answer.authenticated ? { ...answer, again: again(key) } : answer
  }
}

interface Reviewed {
  readonly answer: ReviewedToken
  readonly source: Source
}

/**
 * Reviews of tokens that the cluster has not accepted yet. Many requests with the same one from the same address (a pull right after
 * our start) are let in as one; and nothing is put into the cache before it is let in, so that a flood pushes nobody out of it.
 */
const shareByKey = (
  admit: Admit,
  review: (key: string, token: string, isFamiliar: boolean) => Promise<Reviewed>,
) => {
  const pending = new Map<string, Promise<Reviewed>>()
  const reviewOnce = async (key: string, token: string, client: string): Promise<Reviewed> => {
    const settle = await admit(client)
    let outcome: Outcome = 'unanswered'
    try {
      const reviewed = await review(key, token, false)
      if (reviewed.answer.authenticated) outcome = 'accepted'
      else if (reviewed.source === 'asked') outcome = 'refused'
      return reviewed
    } finally {
      settle(outcome)
    }
  }
  return async (key: string, token: string, client: string): Promise<Reviewed> => {
    const place = `${key} ${client}`
    const shared = pending.get(place)
    if (shared !== undefined) return { ...(await shared), source: 'cached' }
    const reviewing = reviewOnce(key, token, client)
    pending.set(place, reviewing)
    try {
      return await reviewing
    } finally {
      pending.delete(place)
    }
  }
}

const read = (status: V1TokenReviewStatus, asked: readonly string[], token: string): ReviewedToken => {
  if (status.authenticated !== true || status.user?.username === undefined || status.user.username === '')
    return { authenticated: false, reason: status.error ?? 'the token is not valid on this cluster' }
  // An API server that does not know audiences ignores them: a token for somebody else must not pass by that.
  if (asked.length > 0 && !(status.audiences ?? []).some((audience) => asked.includes(audience)))
    return { authenticated: false, reason: 'the token is meant for another audience' }
  return { authenticated: true, identity: identityOf(status.user), expiresAt: expiryOf(token) }
}

const identityOf = ({ username = '', uid, groups = [], extra = {} }: V1UserInfo): ClusterIdentity => {
  const user: UserInfo = { username, groups, extra, ...(uid === undefined || uid === '' ? {} : { uid }) }
  const key = createHash('sha256')
    .update(JSON.stringify([username, uid, groups, extra]))
    .digest('base64')
  return { kind: 'cluster', user, key }
}

/** Milliseconds since the epoch of a JWT's own `exp`; undefined for tokens that do not carry one. */
export const expiryOf = (token: string): number | undefined => {
  try {
    const { exp } = decodeJwt(token)
    // Whatever stands there in a token that nobody has verified yet: a life computed from it must stay a number.
    return typeof exp === 'number' ? exp * 1000 : undefined
  } catch {
    // Not a JWT (`sha256~...` of `oc whoami -t`): it has no expiry that can be read.
    return undefined
  }
}
