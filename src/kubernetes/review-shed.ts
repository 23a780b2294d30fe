/**
 * A question was not answered because of how much is asked: we shed it ourselves, or the API server said 429. That is no outage:
 * what was remembered does not outlive its life for it.
 *
 * Attack: whoever can flood the API server would otherwise keep a revoked binding alive, for as long as the grace lasts.
 */
import { RegistryError } from '../oci/errors.ts'

export class ReviewShed extends RegistryError {}

/** 503 with Retry-After. @param retryAfterSeconds whole */
export const reviewShed = (retryAfterSeconds = 1, cause?: unknown): ReviewShed =>
  new ReviewShed('UNAVAILABLE', 'too many questions about access at once; try again in a moment', {
    cause,
    headers: { 'retry-after': String(retryAfterSeconds) },
  })
