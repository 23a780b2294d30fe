/**
 * Bearer token -> who it belongs to, by a TokenReview.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { ClusterIdentity } from '../access/identity.ts'
import type { TokenRefusal } from '../access/token-refusal.ts'
import { addressOf } from '../ip-address.ts'
import type { Admit, Outcome } from './admission.ts'
import { createRefusedTokens } from './refused-tokens.ts'
import { createRemembered, type Source } from './remembered.ts'
import { shareOf } from './share-of.ts'
import { createSharedCache } from './shared-cache.ts'
import { formOf, type TokenFormat } from './token-form.ts'
import { judge, type AskAboutToken, type ReviewedToken, type Shown } from './token-judgement.ts'

/** `again` is the identity for as long as the review of this token holds: asks nobody, and does not need the token. */
export type Answered = ReviewedToken & { readonly again?: () => ClusterIdentity | undefined }

/**
 * @param client the address it was shown from
 * @throws {RegistryError} UNAVAILABLE where the API server does not answer: that is not a refusal; what `admit` throws
 */
export type ReviewToken = (bearerToken: string, client: string) => Promise<Answered>

export interface TokenReviewerOptions {
  readonly ask: AskAboutToken
  /** Whether an address may have one more unknown token reviewed. */
  readonly admit: Admit
  /** Audiences accepted beside the API server's own. */
  readonly audiences: readonly string[]
  /** Forms that are reviewed at all; `any` unless told. */
  readonly format?: TokenFormat
  /** Milliseconds for which an identity holds. */
  readonly identityTtlMs: number
  /** Milliseconds for which an identity counts while the API server is away. */
  readonly graceMs: number
  readonly observe: (review: { outcome: 'authenticated' | 'refused' | 'failed'; source: Source }) => void
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

const maxIdentities = 10_000
/** About 150 bytes each. */
const maxFamiliar = 50_000

/** A refusal has no life here, and nobody's share: it is kept elsewhere. */
export const ownerOf = (review: ReviewedToken): string =>
  review.authenticated ? shareOf(review.identity) : ''

export const createTokenReviewer = (options: TokenReviewerOptions): ReviewToken => {
  const { admit, format = 'any', identityTtlMs, graceMs, observe, now = Date.now } = options
  // Keys are HMACs under a key of this process: a heap dump or an offline guess must not give tokens away.
  const processKey = randomBytes(32)
  const remaining = (review: ReviewedToken, atMostMs: number): number =>
    review.authenticated ? Math.min(atMostMs, (review.expiresAt ?? Infinity) - now()) : 0

  const reviews = createRemembered<Shown, ReviewedToken>({
    ask: async (question) => await judge(question, options, now),
    // Refusals are kept elsewhere, where they push out nobody's identity.
    ttlMs: (review) => remaining(review, identityTtlMs),
    // None for a token that has ended by its own word.
    graceMs: (review) => graceMs * Number(remaining(review, graceMs) > 0),
    ownerOf: (_question, review) => ownerOf(review),
    max: maxIdentities,
    now,
  })
  const refused = createRefusedTokens<TokenRefusal>(now)
  const familiar = createSharedCache<true>(maxFamiliar)

  const review = async (key: string, question: Shown): Promise<Reviewed> => {
    try {
      const reviewed = await reviews.answer(key, question)
      const { answer, source } = reviewed
      if (answer.authenticated) {
        familiar.set(key, true, shareOf(answer.identity))
        refused.forget(key)
      } else if (source === 'asked') {
        familiar.delete(key)
        refused.add(key, answer.refusal, question.address)
      }
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
    const { kind: tokenKind, claims: unverifiedClaims, refusal: reason } = formOf(bearerToken, format, now())
    if (reason !== undefined)
      return { authenticated: false, refusal: { reason, by: 'form', tokenKind, unverifiedClaims } }
    const key = createHmac('sha256', processKey).update(bearerToken).digest('base64')
    const known = refused.known(key)
    if (known !== undefined) {
      observe({ outcome: 'refused', source: 'cached' })
      return { authenticated: false, refusal: known }
    }
    // What is remembered costs nothing; what was accepted before may not suffer from what others show.
    const isFamiliar = familiar.get(key) === true
    const question = { token: bearerToken, isFamiliar, address: addressOf(client), reviews: 0 }
    const { answer, source } =
      isFamiliar || reviews.peek(key) !== undefined
        ? await review(key, question)
        : await reviewStranger(key, question, client)
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
const shareByKey = (admit: Admit, review: (key: string, question: Shown) => Promise<Reviewed>) => {
  const pending = new Map<string, Promise<Reviewed>>()
  const reviewOnce = async (key: string, question: Shown, client: string): Promise<Reviewed> => {
    const settle = await admit(client)
    let outcome: Outcome = 'unanswered'
    try {
      const reviewed = await review(key, question)
      if (reviewed.answer.authenticated) outcome = 'accepted'
      else if (reviewed.source === 'asked') outcome = 'refused'
      return reviewed
    } finally {
      settle(outcome, question.reviews)
    }
  }
  return async (key: string, question: Shown, client: string): Promise<Reviewed> => {
    const place = `${key} ${client}`
    const shared = pending.get(place)
    if (shared !== undefined) return { ...(await shared), source: 'cached' }
    const reviewing = reviewOnce(key, question, client)
    pending.set(place, reviewing)
    try {
      return await reviewing
    } finally {
      pending.delete(place)
    }
  }
}
