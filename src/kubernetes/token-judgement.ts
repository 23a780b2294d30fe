/**
 * Reviews one token: its identity, or the reason why it is refused.
 */
import { createHash } from 'node:crypto'
import { clusterKindOf, type ClusterIdentity, type UserInfo } from '../access/identity.ts'
import type { TokenKind, TokenRefusal } from '../access/token-refusal.ts'
import type { TokenReviewSpec } from './api-server.ts'
import { printable } from './foreign-text.ts'
import type { TokenAnswer } from './review-answer.ts'
import { audiencesOf, expiryOf, formOf } from './token-form.ts'

export type ReviewedToken =
  | {
      readonly authenticated: true
      readonly identity: ClusterIdentity
      /** Milliseconds since the epoch, from the `exp` of the token. */
      readonly expiresAt: number | undefined
    }
  | { readonly authenticated: false; readonly refusal: TokenRefusal }

/** @param turn whose share of the queue it takes, and whether it goes ahead of tokens that were not accepted before */
export type SendTokenReview = (
  spec: TokenReviewSpec,
  turn: { readonly requester: string; readonly isPriority: boolean },
) => Promise<TokenAnswer>

/** A token, as a client showed it. */
export interface ShownToken {
  readonly token: string
  /** It was accepted before. */
  readonly isFamiliar: boolean
  /** The network of the client. */
  readonly address: string
  /** TokenReviews that were sent for it. */
  reviews: number
}

/** Sends one review for each audience until one of them accepts the token. */
export const judge = async (
  shown: ShownToken,
  { send, audiences }: { readonly send: SendTokenReview; readonly audiences: readonly string[] },
  now: () => number,
): Promise<ReviewedToken> => {
  const { token, isFamiliar: isPriority, address: requester } = shown
  const { kind: tokenKind, claims: unverifiedClaims } = formOf(token, 'any', now())
  const refused = (reason: string): ReviewedToken => ({
    authenticated: false,
    refusal: { reason, by: 'cluster', tokenKind, unverifiedClaims },
  })
  let last = refused('the token is not valid on this cluster')
  for (const wanted of audiencesToReview(token, tokenKind, audiences)) {
    shown.reviews += 1
    const spec = wanted === undefined ? { token } : { token, audiences: wanted }
    const answer = await send(spec, { requester, isPriority })
    if (!answer.authenticated) {
      if (answer.error !== undefined) last = refused(printable(answer.error, token))
      continue
    }
    // Attack: an API server without support for audiences ignores them, and would accept a token for another audience.
    if (wanted !== undefined && !answer.audiences.some((audience) => wanted.includes(audience))) {
      last = refused('the token is meant for another audience')
      continue
    }
    const expiresAt = expiryOf(token)
    // The API server accepts a token for up to a minute after its `exp`.
    if (expiresAt !== undefined && expiresAt <= now()) return refused('the token has expired')
    return { authenticated: true, identity: identityOf(answer.user), expiresAt }
  }
  return last
}

/**
 * The audiences to review a token for, one review each; undefined: the audiences of the API server itself, whatever their names
 * (OpenShift's is the URL of its issuer). A review for other audiences alone refuses all tokens of `oc whoami -t`, which have none. The
 * audiences that the token itself claims come first.
 */
const audiencesToReview = (
  token: string,
  kind: TokenKind,
  audiences: readonly string[],
): readonly (readonly string[] | undefined)[] => {
  if (audiences.length === 0 || kind === 'openshift') return [undefined]
  const claimed = audiencesOf(token) ?? []
  return claimed.some((one) => typeof one === 'string' && audiences.includes(one))
    ? [audiences, undefined]
    : [undefined, audiences]
}

const identityOf = (user: UserInfo): ClusterIdentity => {
  const { username, uid, groups, extra } = user
  const key = createHash('sha256')
    .update(JSON.stringify([username, uid, groups, extra]))
    .digest('base64')
  return { kind: clusterKindOf(username), user, key }
}
