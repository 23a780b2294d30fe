/**
 * The robot's token, cached until shortly before its end: an Authorization header for the upstream origin alone. One login at a time.
 */
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { UpstreamRateLimited } from '../errors.ts'
import type { Retry } from '../resilience/retry.ts'
import { logIn, type CachedToken, type LoginOptions } from './robot-login.ts'

export interface Robot {
  /** The Authorization header for upstream; undefined where upstream asks for none. @throws {RegistryError} UNAVAILABLE */
  readonly authorization: () => Promise<string | undefined>
  /** Upstream refused what `authorization` gave: the next call fetches anew. A newer token than `refused` is kept. */
  readonly invalidate: (refused: string | undefined) => void
  /** The stored credential changed: what the old one gave is not used any more. */
  readonly reset: () => void
  /** True once upstream was asked, with whatever outcome. */
  readonly attempted: () => boolean
}

export interface RobotOptions extends LoginOptions {
  readonly credential: () => RobotCredential
  /** A failed login of the robot fails every request that waits for it. Once, unless given. */
  readonly retry?: Retry
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * Quay answers more than about three token requests at a time with 429: a refused robot is not tried by every client, and one that
 * is limited not before upstream says so.
 */
const failureLifeMs = 2000
const failureLifeOf = (error: unknown): number =>
  Math.max(failureLifeMs, error instanceof UpstreamRateLimited ? (error.retryAfterSeconds ?? 0) * 1000 : 0)

export const createRobotToken = (options: RobotOptions): Robot => {
  const { now = Date.now, retry = once } = options
  let held: CachedToken | undefined
  let fetching: Promise<CachedToken> | undefined
  let failed: { until: number; error: unknown; credential: RobotCredential } | undefined
  let tried = false

  const start = (credential: RobotCredential): Promise<CachedToken> => {
    // Of what was asked with a credential that was replaced meanwhile, those who wait for it learn, and nobody else.
    const isCurrent = () => fetching === result
    const result: Promise<CachedToken> = retry(async () => await logIn(options, credential, now))
      .then(
        (fresh) => {
          if (!isCurrent()) return fresh
          failed = undefined
          held = fresh
          return fresh
        },
        (error: unknown) => {
          failed = { until: now() + failureLifeOf(error), error, credential }
          throw error
        },
      )
      .finally(() => {
        if (isCurrent()) fetching = undefined
        tried = true
      })
    return result
  }

  const fetchOnce = async (): Promise<CachedToken> => {
    const credential = options.credential()
    if (failed !== undefined && now() < failed.until && failed.credential === credential) throw failed.error
    fetching ??= start(credential)
    return await fetching
  }

  return {
    authorization: async () => {
      if (held === undefined || now() >= held.expiresAt) return (await fetchOnce()).header
      // The old token is still good: nobody waits for the new one, and a failure shows when the old one ends.
      if (now() >= held.refreshAt) fetchOnce().catch(() => undefined)
      return held.header
    },
    invalidate: (refused) => {
      if (held?.header === refused) held = undefined
    },
    reset: () => {
      held = undefined
      fetching = undefined
    },
    attempted: () => tried,
  }
}

const once: Retry = async (attempt) => await attempt()
