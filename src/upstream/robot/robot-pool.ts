/**
 * A pool of robots. Requests are spread evenly over the healthy robots, and no request fails while one of them is healthy.
 */
import { TransientUpstreamError, UpstreamTimeout } from '../errors.ts'
import type { RobotLease } from '../request.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { PoolMember } from './pool-member.ts'
import type { RobotOptions } from './robot-token.ts'

export interface RobotPool {
  /** @throws {RegistryError} UNAVAILABLE if no robot can log in */
  readonly acquire: () => Promise<RobotLease>
  /** The stored credentials changed. A robot whose credential is the same keeps its token. */
  readonly reset: () => void
  /** Milliseconds since the oldest token in use was issued; undefined without a token. */
  readonly tokenAgeMs: () => number | undefined
  /** True once a login ended, with whatever outcome. */
  readonly attempted: () => boolean
}

export interface RobotPoolOptions extends Omit<RobotOptions, 'credential'> {
  /** At least one. */
  readonly credentials: () => readonly RobotCredential[]
}

export const createRobotPool = (options: RobotPoolOptions): RobotPool => new Pool(options)

class Pool implements RobotPool {
  readonly #options: RobotPoolOptions
  #members: readonly PoolMember[] = []
  #turn = 0
  #wasAttempted = false

  constructor(options: RobotPoolOptions) {
    this.#options = options
    this.reset()
  }

  async acquire(): Promise<RobotLease> {
    const order = this.#inOrder()
    for (const member of this.#members) member.probe()
    return await this.#leaseOf(order, 1)
  }

  reset(): void {
    this.#members = this.#options
      .credentials()
      .map((credential) => this.#members.find((member) => member.has(credential)) ?? this.#join(credential))
  }

  tokenAgeMs(): number | undefined {
    const { now = Date.now } = this.#options
    const issued = this.#members.map((member) => member.issuedAt()).filter((at) => at !== undefined)
    return issued.length === 0 ? undefined : now() - Math.min(...issued)
  }

  attempted(): boolean {
    this.#wasAttempted ||= this.#members.some((member) => member.attempted())
    return this.#wasAttempted
  }

  #join(credential: RobotCredential): PoolMember {
    const onRefused = (reason: string): void => this.#alarm(credential.username, reason)
    return new PoolMember({ now: Date.now, ...this.#options, onRefused }, credential)
  }

  #alarm(username: string, reason: string): void {
    const left = this.#healthy().filter(({ credential }) => credential.username !== username).length
    const rest = left === 0 ? '' : `; ${left} of ${this.#members.length} robots go on`
    this.#options.onRefused(`${username}: ${reason}${rest}`)
  }

  #healthy(): readonly PoolMember[] {
    return this.#members.filter((member) => member.isHealthy())
  }

  /** The healthy robots in turn, the others only after them. */
  #inOrder(): readonly PoolMember[] {
    const healthy = this.#healthy()
    const start = this.#turn++ % Math.max(1, healthy.length)
    return [
      ...healthy.slice(start),
      ...healthy.slice(0, start),
      ...this.#members.filter((member) => !member.isHealthy()),
    ]
  }

  #startingWith(member: PoolMember): readonly PoolMember[] {
    const others = this.#members.filter((other) => other !== member)
    return [
      member,
      ...others.filter((other) => other.isHealthy()),
      ...others.filter((other) => !other.isHealthy()),
    ]
  }

  /** @param attempt of the request that it is for, from 1 */
  async #leaseOf(order: readonly PoolMember[], attempt: number): Promise<RobotLease> {
    const { member, authorization } = await firstOf(order)
    return {
      authorization,
      rejected: async () => await this.#next(member, authorization, attempt),
    }
  }

  /** A fresh token of the same robot. If the rejected one was fresh already, the token of another robot. */
  async #next(
    member: PoolMember,
    rejected: string | undefined,
    attempt: number,
  ): Promise<RobotLease | undefined> {
    const isReplaced = !this.#members.includes(member)
    const age = isReplaced ? 'replaced' : member.invalidate(rejected)
    if (age === 'fresh' && this.#healthy().some((other) => other !== member)) {
      member.quarantine()
      this.#alarm(member.credential.username, 'a request with a fresh robot token was answered 401')
      return await this.#leaseOf(this.#inOrder(), attempt + 1)
    }
    // Without another robot, the first fresh token of a request is worth a second try.
    if (age === 'fresh' && attempt > 1) return undefined
    return await this.#leaseOf(isReplaced ? this.#inOrder() : this.#startingWith(member), attempt + 1)
  }
}

const firstOf = async (
  order: readonly PoolMember[],
): Promise<{ readonly member: PoolMember; readonly authorization: string | undefined }> => {
  let failure: unknown
  for (const member of order)
    try {
      return { member, authorization: await member.authorization() }
    } catch (error) {
      // A transient error counts before the others: it is worth another try, and a cached copy may be served meanwhile.
      if (!(failure instanceof TransientUpstreamError)) failure = error
      // All robots have the same realm: if the login of one timed out, that of the next one would, too.
      if (error instanceof UpstreamTimeout) break
    }
  throw failure
}
