/**
 * The reviews of a proxy that accepts robots alone (`--logins=robots`), such as the cache of a build farm. There is no cluster: every
 * token is refused, and no review says yes.
 */
import type { Reviews } from './reviews.ts'

const refusal = {
  reason: 'this proxy accepts robots only',
  by: 'configuration',
  tokenKind: 'opaque',
  unverifiedClaims: {},
} as const

export const reviewsWithoutCluster = (): Reviews => ({
  apiServer: {
    reviewToken: async () => ({ authenticated: false, error: refusal.reason }),
    reviewAccess: async () => ({ allowed: false }),
    reached: () => true,
    close: async () => undefined,
  },
  reviewToken: async () => ({ authenticated: false, refusal }),
  accessReviews: {
    review: async () => ({ allowed: false, source: 'live' }),
    reviewPath: async () => ({ allowed: false, source: 'live' }),
    peek: () => undefined,
    peekInGrace: () => undefined,
  },
  charge: () => undefined,
})
