/**
 * One token, asked about: who it belongs to, or why it does not count here.
 */
import { createHash } from 'node:crypto'
import type { ClusterIdentity, UserInfo } from '../access/identity.ts'
import type { TokenKind, TokenRefusal } from '../access/token-refusal.ts'
import type { TokenQuestion } from './api-server.ts'
import { printable } from './foreign-text.ts'
import type { TokenAnswer } from './review-answer.ts'
import { audiencesOf, expiryOf, formOf } from './token-form.ts'

export type ReviewedToken =
  | {
      readonly authenticated: true
      readonly identity: ClusterIdentity
      /** Milliseconds since the epoch, by the word of the token itself. */
      readonly expiresAt: number | undefined
    }
  | { readonly authenticated: false; readonly refusal: TokenRefusal }

/** @param turn whose share it takes, and whether it need not wait behind tokens that were not accepted before */
export type AskAboutToken = (
  spec: TokenQuestion,
  turn: { readonly asker: string; readonly isAhead: boolean },
) => Promise<TokenAnswer>

/** What is asked about. */
export interface Shown {
  readonly token: string
  readonly isFamiliar: boolean
  readonly address: string
  /** Reviews that it took: counted as they go out. */
  reviews: number
}

/** Asks until one of the audiences is the right one. */
export const judge = async (
  question: Shown,
  { ask, audiences }: { readonly ask: AskAboutToken; readonly audiences: readonly string[] },
  now: () => number,
): Promise<ReviewedToken> => {
  const { token, isFamiliar: isAhead, address: asker } = question
  const { kind: tokenKind, claims: unverifiedClaims } = formOf(token, 'any', now())
  const no = (reason: string): ReviewedToken => ({
    authenticated: false,
    refusal: { reason, by: 'cluster', tokenKind, unverifiedClaims },
  })
  let last = no('the token is not valid on this cluster')
  for (const asked of audiencesToAsk(token, tokenKind, audiences)) {
    question.reviews += 1
    const answer = await ask(asked === undefined ? { token } : { token, audiences: asked }, {
      asker,
      isAhead,
    })
    if (!answer.authenticated) {
      if (answer.error !== undefined) last = no(printable(answer.error, token))
      continue
    }
    // An API server that does not know audiences ignores them: a token for somebody else must not pass by that.
    if (asked !== undefined && !answer.audiences.some((audience) => asked.includes(audience))) {
      last = no('the token is meant for another audience')
      continue
    }
    const expiresAt = expiryOf(token)
    // The API server accepts a token for up to a minute after its `exp`.
    if (expiresAt !== undefined && expiresAt <= now()) return no('the token has expired')
    return { authenticated: true, identity: identityOf(answer.user), expiresAt }
  }
  return last
}

/**
 * For which audiences a token is reviewed, one question each; undefined: the API server's own, whatever they are called there
 * (OpenShift's is the URL of its issuer). A question that names others only refuses all tokens of `oc whoami -t`, which have none of
 * their own. A token that says what it is meant for is asked about so first.
 */
const audiencesToAsk = (
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
  return { kind: 'cluster', user, key }
}
