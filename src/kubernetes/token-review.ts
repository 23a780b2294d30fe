/**
 * Finds the identity of a bearer token by a TokenReview.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { ClusterIdentity } from '../access/identity.ts'
import type { TokenRefusal } from '../access/token-refusal.ts'
import { networkOfClient } from '../access/ip-address.ts'
import { createSingleFlight } from '../concurrency/single-flight.ts'
import type { AdmitLogin, Outcome } from './failed-login-limit.ts'
import { createRefusedTokens, type RefusedTokens } from './refused-tokens.ts'
import { ReviewCache, type Source, type Sourced } from './review-cache.ts'
import { shareOf } from './requester-group.ts'
import { createFairCache } from './fair-cache.ts'
import { formOf, type TokenFormat } from './token-form.ts'
import { judge, type ReviewedToken, type SendTokenReview, type ShownToken } from './token-judgement.ts'

/** `again` gives the identity while the review of this token is valid: it sends nothing, and does not need the token. */
export type Answered = ReviewedToken & { readonly again?: () => ClusterIdentity | undefined }

/**
 * @param client the address of the client
 * @throws {RegistryError} UNAVAILABLE if the API server does not answer, which is not a refusal; what `admit` throws
 */
export type ReviewToken = (bearerToken: string, client: string) => Promise<Answered>

export type TokenOutcome = 'authenticated' | 'refused' | 'failed'

export interface TokenReviewerOptions {
  readonly send: SendTokenReview
  /** Admits one more unknown token of an address. */
  readonly admit: AdmitLogin
  /** Audiences that are accepted in addition to the API server's own. */
  readonly audiences: readonly string[]
  /** Forms of tokens that are reviewed; `any` unless given. */
  readonly format?: TokenFormat
  /** Milliseconds for which an identity is valid. */
  readonly identityTtlMs: number
  /** Milliseconds for which an identity is valid while the API server is unavailable. */
  readonly graceMs: number
  readonly observe: (review: { kind: 'TokenReview'; outcome: TokenOutcome; source: Source }) => void
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

const maxIdentities = 10_000
/** About 150 bytes each. */
const maxFamiliar = 50_000

/** A refusal takes nobody's share, because it is not cached here. */
export const ownerOf = (review: ReviewedToken): string =>
  review.authenticated ? shareOf(review.identity) : ''

export const createTokenReviewer = (options: TokenReviewerOptions): ReviewToken => {
  const reviewer = new TokenReviewer(options)
  return async (bearerToken, client) => await reviewer.review(bearerToken, client)
}

type Reviewed = Sourced<ReviewedToken>

class TokenReviewer {
  readonly #options: TokenReviewerOptions
  readonly #now: () => number
  // Attack: a heap dump, or an offline guess. Keys are HMACs under a key of this process, so they reveal no token.
  readonly #processKey = randomBytes(32)
  readonly #reviews: ReviewCache<ShownToken, ReviewedToken>
  readonly #refused: RefusedTokens<TokenRefusal>
  readonly #familiar = createFairCache<true>(maxFamiliar)
  readonly #flights = createSingleFlight<Reviewed>()

  constructor(options: TokenReviewerOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#refused = createRefusedTokens(this.#now)
    this.#reviews = this.#createReviews()
  }

  async review(bearerToken: string, client: string): Promise<Answered> {
    const { format = 'any', observe } = this.#options
    const { kind: tokenKind, claims: unverifiedClaims, refusal } = formOf(bearerToken, format, this.#now())
    if (refusal !== undefined)
      return {
        authenticated: false,
        refusal: { reason: refusal, by: 'form', tokenKind, unverifiedClaims },
      }
    const key = createHmac('sha256', this.#processKey).update(bearerToken).digest('base64')
    const refused = this.#refused.get(key)
    if (refused !== undefined) {
      observe({ kind: 'TokenReview', outcome: 'refused', source: 'cached' })
      return { authenticated: false, refusal: refused }
    }
    const { answer, source } = await this.#reviewed(key, bearerToken, client)
    const outcome = answer.authenticated ? 'authenticated' : 'refused'
    observe({ kind: 'TokenReview', outcome, source })
    return answer.authenticated ? { ...answer, again: this.#againOf(key) } : answer
  }

  /** A cached token, or one that was accepted before, does not wait for the limit on failed logins of its address. */
  async #reviewed(key: string, token: string, client: string): Promise<Reviewed> {
    const isFamiliar = this.#familiar.get(key) === true
    const shown: ShownToken = { token, isFamiliar, address: networkOfClient(client), reviews: 0 }
    return isFamiliar || this.#reviews.peek(key) !== undefined
      ? await this.#review(key, shown)
      : await this.#reviewStranger(key, shown, client)
  }

  /**
   * Many requests with one unknown token from one address (a pull right after the start of the proxy) are admitted as one. Nothing is
   * cached before the admission, so a flood evicts nobody.
   */
  async #reviewStranger(key: string, shown: ShownToken, client: string): Promise<Reviewed> {
    const load = async () => await this.#admitAndReview(key, shown, client)
    const { answer, source } = await this.#flights({ key: `${key} ${client}`, load })
    return source === 'shared' ? { ...answer, source: 'cached' } : answer
  }

  async #admitAndReview(key: string, shown: ShownToken, client: string): Promise<Reviewed> {
    const settle = await this.#options.admit(client)
    let outcome: Outcome = 'unanswered'
    try {
      const reviewed = await this.#review(key, shown)
      if (reviewed.answer.authenticated) outcome = 'accepted'
      else if (reviewed.source === 'live') outcome = 'refused'
      return reviewed
    } finally {
      settle(outcome, shown.reviews)
    }
  }

  async #review(key: string, shown: ShownToken): Promise<Reviewed> {
    const reviewed = await this.#reviews.answer(key, shown)
    this.#record(key, shown, reviewed)
    return reviewed
  }

  #record(key: string, { address }: ShownToken, { answer, source }: Reviewed): void {
    if (answer.authenticated) {
      this.#familiar.set(key, true, shareOf(answer.identity))
      this.#refused.forget(key)
    } else if (source === 'live') {
      this.#familiar.delete(key)
      this.#refused.add(key, answer.refusal, address)
    }
  }

  #againOf(key: string): () => ClusterIdentity | undefined {
    return () => {
      const cached = this.#reviews.cached(key)
      if (cached?.answer.authenticated !== true) return undefined
      this.#options.observe({ kind: 'TokenReview', outcome: 'authenticated', source: cached.source })
      return cached.answer.identity
    }
  }

  #createReviews(): ReviewCache<ShownToken, ReviewedToken> {
    const { identityTtlMs, graceMs } = this.#options
    const remaining = (review: ReviewedToken, atMostMs: number): number =>
      review.authenticated ? Math.min(atMostMs, (review.expiresAt ?? Infinity) - this.#now()) : 0
    return new ReviewCache({
      load: async (shown) => await judge(shown, this.#options, this.#now),
      onUnanswered: () => this.#options.observe({ kind: 'TokenReview', outcome: 'failed', source: 'live' }),
      // Refusals have a cache of their own, where they evict no identity.
      ttlMs: (review) => remaining(review, identityTtlMs),
      // No grace for a token that has expired.
      graceMs: (review) => graceMs * Number(remaining(review, graceMs) > 0),
      ownerOf: (_shown, review) => ownerOf(review),
      max: maxIdentities,
      now: this.#now,
    })
  }
}
