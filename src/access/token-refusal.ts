/**
 * The reason why a token was refused, for messages and the log. It contains nothing of the token, and no secret.
 */

export type TokenKind = 'jwt' | 'openshift' | 'opaque'

/** Claims of a token that are not verified. Each is a short printable text. */
export interface UnverifiedClaims {
  readonly iss?: string
  readonly sub?: string
  readonly aud?: string
  readonly exp?: string
}

export interface TokenRefusal {
  readonly reason: string
  /** `form`: the form of the token alone, without a review. `cluster`: a review. `configuration`: the proxy accepts no tokens. */
  readonly by: 'form' | 'cluster' | 'configuration'
  readonly tokenKind: TokenKind
  readonly unverifiedClaims: UnverifiedClaims
}
