/**
 * A question was not answered because of how much is asked: we shed it ourselves, or the API server said 429. That is no outage:
 * what was remembered does not outlive its life for it.
 *
 * Attack: whoever can flood the API server would otherwise keep a revoked binding alive, for as long as the grace lasts.
 */
import { RegistryError } from '../errors.ts'

export class OwnLoad extends RegistryError {}

/** 503 with Retry-After. @param retryAfterSeconds whole */
export const ownLoad = (retryAfterSeconds = 1, cause?: unknown): OwnLoad =>
  new OwnLoad('UNAVAILABLE', 'too many questions about access at once; try again in a moment', {
    cause,
    headers: { 'retry-after': String(retryAfterSeconds) },
  })
