/**
 * Several robots in place of one: requests are spread evenly over those that are well, and nobody fails while one of them is.
 */
import { TransientUpstreamError } from '../errors.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { createRobotToken, type Robot, type RobotOptions } from './robot-token.ts'

export interface RobotPool extends Robot {
  /**
   * As of one robot. The next call of `authorization`, which is that of the same request, gets a fresh token of the same robot; where
   * that one was fresh already, the token of another.
   * @returns false where no further try can help
   */
  readonly invalidate: (refused: string | undefined) => boolean
}

export interface RobotsOptions extends Omit<RobotOptions, 'credential'> {
  /** One at least. */
  readonly credentials: () => readonly RobotCredential[]
}

/** As long as a client is told to wait where the robot is refused. Then it is tried beside the others, and nobody waits for it. */
const asideMs = 30_000
/** A token lives for an hour: two of a robot that are refused within a minute are no accident of the first. */
const freshMs = 60_000
/** The realm is one for all robots: who waited in vain for the token of one would do so for that of the next. */
const timedOutStatus = 504

export const createRobotPool = (options: RobotsOptions): RobotPool => {
  const { credentials, now = Date.now } = options
  let members: readonly Member[] = []
  let turn = 0
  /** Whose fresh token the next call wants. */
  let preferred: Member | undefined
  let wasTried = false

  const well = (): readonly Member[] => members.filter((member) => member.isHealthy())
  const alarm = (username: string, reason: string): void => {
    const left = well().filter(({ credential }) => credential.username !== username).length
    const rest = left === 0 ? '' : `; ${left} of ${members.length} robots go on`
    options.onRefused(`${username}: ${reason}${rest}`)
  }
  /** Whose credential is still the same keeps what it has. */
  const renew = (): void => {
    preferred = undefined
    members = credentials().map(
      (credential) =>
        members.find((member) => isSame(member.credential, credential)) ??
        createMember(
          { ...options, now, onRefused: (reason) => alarm(credential.username, reason) },
          credential,
        ),
    )
  }
  renew()

  /** Those who are well in turn, the others only after them. */
  const inOrder = (): readonly Member[] => {
    const able = well()
    const ill = members.filter((member) => !member.isHealthy())
    const first = preferred
    preferred = undefined
    if (first !== undefined) return [first, ...[...able, ...ill].filter((member) => member !== first)]
    const start = turn++ % Math.max(1, able.length)
    return [...able.slice(start), ...able.slice(0, start), ...ill]
  }

  return {
    authorization: async () => {
      const order = inOrder()
      for (const member of members) member.probe()
      return await firstOf(order)
    },
    invalidate: (refused) => {
      const member = members.find((candidate) => candidate.gave(refused))
      // Of a credential that was replaced.
      if (member === undefined) return true
      // For the very next call of `authorization`: whoever calls both has no `await` between them.
      preferred = member
      if (member.invalidate(refused) !== 'fresh') return true
      if (well().every((other) => other === member)) return false
      preferred = undefined
      member.quarantine()
      alarm(member.credential.username, 'a request with a fresh robot token was answered 401')
      return true
    },
    reset: renew,
    attempted: () => {
      wasTried ||= members.some((member) => member.tried())
      return wasTried
    },
  }
}

const isSame = (one: RobotCredential, other: RobotCredential): boolean =>
  one.username === other.username && one.password === other.password

const firstOf = async (order: readonly Member[]): Promise<string | undefined> => {
  let failure: unknown
  for (const member of order)
    try {
      return await member.authorization()
    } catch (error) {
      // Of all failures the one that may pass: it is worth another try, and a copy that is known may be served meanwhile.
      if (!(failure instanceof TransientUpstreamError)) failure = error
      if (error instanceof TransientUpstreamError && error.status === timedOutStatus) break
    }
  throw failure
}

/** A robot, and how it fares. */
interface Member {
  readonly credential: RobotCredential
  readonly authorization: () => Promise<string | undefined>
  readonly tried: () => boolean
  readonly isHealthy: () => boolean
  readonly quarantine: () => void
  /** Nobody waits for this: for a robot that was never asked, or whose time aside is over. */
  readonly probe: () => void
  readonly gave: (authorization: string | undefined) => boolean
  /** Whether the one that upstream refused was fetched because the one before was refused; `seen` where others have told of it. */
  readonly invalidate: (refused: string | undefined) => 'seen' | 'old' | 'fresh'
}

const createMember = (
  options: Omit<RobotOptions, 'credential'> & { readonly now: () => number },
  credential: RobotCredential,
): Member => {
  const { now } = options
  const robot = createRobotToken({ ...options, credential: () => credential })
  /** What it gave last, and what of that upstream refused last; null for nothing yet. */
  let given: string | undefined | null = null
  let lastRefused: string | undefined | null = null
  let refusedAt = -Infinity
  let asideUntil: number | undefined
  let isAsked = false

  const quarantine = (): void => {
    asideUntil = now() + asideMs
  }
  const authorization = async (): Promise<string | undefined> => {
    isAsked = true
    try {
      given = await robot.authorization()
      asideUntil = undefined
      return given
    } catch (error) {
      quarantine()
      throw error
    }
  }
  return {
    credential,
    authorization,
    quarantine,
    tried: robot.attempted,
    isHealthy: () => asideUntil === undefined,
    probe: () => {
      if (isAsked && (asideUntil === undefined || now() < asideUntil)) return
      if (asideUntil !== undefined) quarantine()
      authorization().catch(() => undefined)
    },
    gave: (shown) => shown === given || shown === lastRefused,
    invalidate: (refused) => {
      if (refused !== given) return 'seen'
      const isFresh = now() - refusedAt < freshMs
      robot.invalidate(refused)
      given = null
      lastRefused = refused
      refusedAt = now()
      return isFresh ? 'fresh' : 'old'
    },
  }
}
