/**
 * Why a token was refused, for those who tell people and the log. Nothing of it is the token, or of a secret.
 */

export type TokenKind = 'jwt' | 'openshift' | 'opaque'

/** Claims of a token that nobody has verified: the client's own word. Text, short and printable. */
export interface UnverifiedClaims {
  readonly iss?: string
  readonly sub?: string
  readonly aud?: string
  readonly exp?: string
}

export interface TokenRefusal {
  readonly reason: string
  /** Who says so: the form of the token alone, without a question to anybody, or the cluster. */
  readonly by: 'form' | 'cluster'
  readonly tokenKind: TokenKind
  readonly unverifiedClaims: UnverifiedClaims
}
