/**
 * A robot of the pool, and whether it is healthy.
 */
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { createRobotToken, type Robot, type RobotOptions } from './robot-token.ts'

/** As long as the Retry-After of a refused robot. After it a probe goes out. No caller waits for the probe. */
const quarantineMs = 30_000
/** A token lives for an hour: if two tokens of one robot are rejected within a minute, the robot itself is refused. */
const freshMs = 60_000

export class PoolMember {
  readonly credential: RobotCredential
  readonly #robot: Robot
  readonly #now: () => number
  /** The last token that it issued; null for none yet. */
  #issued: string | undefined | null = null
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
      this.#issued = await this.#robot.authorization()
      this.#quarantinedUntil = undefined
      return this.#issued
    } catch (error) {
      this.quarantine()
      throw error
    }
  }

  issuedAt(): number | undefined {
    return this.#robot.issuedAt()
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

  /** Logs in a robot that was never used, or whose quarantine is over. No caller waits for it. */
  probe(): void {
    const until = this.#quarantinedUntil
    if (this.#isStarted && (until === undefined || this.#now() < until)) return
    if (until !== undefined) this.quarantine()
    this.authorization().catch(() => undefined)
  }

  /**
   * To be called when upstream answered 401 to a token of this robot.
   * @returns `seen` if another request has reported it before; `fresh` if the token was fetched because the one before was rejected
   */
  invalidate(rejected: string | undefined): 'seen' | 'old' | 'fresh' {
    if (rejected !== this.#issued) return 'seen'
    const isFresh = this.#now() - this.#rejectedAt < freshMs
    this.#robot.invalidate(rejected)
    this.#issued = null
    this.#rejectedAt = this.#now()
    return isFresh ? 'fresh' : 'old'
  }
}
