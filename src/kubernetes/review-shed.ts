/**
 * A review failed because of the load: the proxy shed it, or the API server answered 429. The API server is available, so a cached answer
 * gets no grace.
 *
 * Attack: a user floods the API server to keep a revoked binding alive for the whole grace.
 */
import { RegistryError } from '../oci/errors.ts'

export class ReviewShed extends RegistryError {}

/** 503 with Retry-After. @param retryAfterSeconds whole */
export const reviewShed = (retryAfterSeconds = 1, cause?: unknown): ReviewShed =>
  new ReviewShed('UNAVAILABLE', 'too many questions about access at once; try again in a moment', {
    cause,
    headers: { 'retry-after': String(retryAfterSeconds) },
  })
