/**
 * A robot of the pool, and whether it is healthy.
 */
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { createRobotToken, type Robot, type RobotOptions } from './robot-token.ts'

/** As long as a client is told to wait where the robot is refused. After it a probe goes out; no caller waits for the probe. */
const quarantineMs = 30_000
/** A token lives for an hour: two rejected tokens of one robot within a minute are no accident of the first. */
const freshMs = 60_000

export class PoolMember {
  readonly credential: RobotCredential
  readonly #robot: Robot
  readonly #now: () => number
  /** The last token that it gave; null for none yet. */
  #given: string | undefined | null = null
  #rejectedAt = -Infinity
  #quarantinedUntil: number | undefined
  #isStarted = false

  /** `now`: milliseconds since the epoch. */
  constructor(
    options: Omit<RobotOptions, 'credential'> & { readonly now: () => number },
    credential: RobotCredential,
  ) {
    this.credential = credential
    this.#now = options.now
    this.#robot = createRobotToken({ ...options, credential: () => credential })
  }

  has({ username, password }: RobotCredential): boolean {
    return this.credential.username === username && this.credential.password === password
  }

  async authorization(): Promise<string | undefined> {
    this.#isStarted = true
    try {
      this.#given = await this.#robot.authorization()
      this.#quarantinedUntil = undefined
      return this.#given
    } catch (error) {
      this.quarantine()
      throw error
    }
  }

  attempted(): boolean {
    return this.#robot.attempted()
  }

  isHealthy(): boolean {
    return this.#quarantinedUntil === undefined
  }

  quarantine(): void {
    this.#quarantinedUntil = this.#now() + quarantineMs
  }

  /** No caller waits for it: for a robot that was never used, or whose quarantine is over. */
  probe(): void {
    const until = this.#quarantinedUntil
    if (this.#isStarted && (until === undefined || this.#now() < until)) return
    if (until !== undefined) this.quarantine()
    this.authorization().catch(() => undefined)
  }

  /**
   * Upstream answered 401 to a token of it.
   * @returns `seen` where another request has told of it; `fresh` where it was fetched because the one before was rejected
   */
  invalidate(rejected: string | undefined): 'seen' | 'old' | 'fresh' {
    if (rejected !== this.#given) return 'seen'
    const isFresh = this.#now() - this.#rejectedAt < freshMs
    this.#robot.invalidate(rejected)
    this.#given = null
    this.#rejectedAt = this.#now()
    return isFresh ? 'fresh' : 'old'
  }
}
