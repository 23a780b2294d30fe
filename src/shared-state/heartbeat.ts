/**
 * The beat of a connected replica every two seconds: registers the replica, checks whether the store has lost facts, sends unsent facts, and
 * renews the lease of the walk.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FactLog } from './fact-log.ts'
import type { FactWriter } from './fact-writer.ts'
import { keys } from './keys.ts'
import { listOf, numberOf } from './reply.ts'
import { beatScript } from './scripts.ts'
import { evalOf, type Session } from './session.ts'
import { sweep } from './sweep.ts'
import type { WalkLease } from './walk-lease.ts'

export interface HeartbeatOptions {
  /** Name of this replica. */
  readonly origin: string
  readonly log: Pick<FactLog, 'isLoaded'>
  readonly writer: Pick<FactWriter, 'flush' | 'republish' | 'republishAll'>
  readonly lease: Pick<WalkLease, 'isHeld' | 'renew'>
  readonly catchUp: () => Promise<boolean>
  /** Called with the number of replicas that the store counts. */
  readonly onReplicas: (count: number) => void
  /** Milliseconds, monotonic. */
  readonly now: () => number
  /** Milliseconds since the epoch. */
  readonly wallClock: () => number
  /** Milliseconds between two beats. */
  readonly everyMs?: number | undefined
}

/** The store stops counting a replica after so many milliseconds without a beat. */
const replicaForMs = 10_000
/** A replica that was disconnected for longer loads everything again. */
const logForMs = 600_000
const sweepEveryMs = 3_600_000
/** Facts that the store lost may be unknown here, too. So this replica does not send all of its facts again with each beat. */
const republishEveryMs = 60_000

export class Heartbeat {
  readonly #options: HeartbeatOptions
  #sweptAt = -Infinity
  #republishedAt = -Infinity
  #isStopped = false

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** No beat begins after this call: it would register this replica again. */
  stop(): void {
    this.#isStopped = true
  }

  /** Beats until the session ends. Never rejects. */
  async run(session: Session): Promise<void> {
    const { everyMs = 2000 } = this.#options
    while (session.isOpen()) {
      await Promise.race([sleep(everyMs, undefined, { ref: false }), session.ended])
      if (session.isOpen() && !this.#isStopped) await this.beat(session).catch(() => undefined)
    }
  }

  /** @throws {Error} if the store does not answer */
  async beat(session: Session): Promise<void> {
    const { origin, log, writer, lease, catchUp, onReplicas, now } = this.#options
    const reply = await session.patiently(
      evalOf(
        beatScript,
        [keys.replicas, keys.log, keys.index, keys.restrictedTags, keys.restrictedNames, keys.nothing],
        [origin, String(replicaForMs), String(logForMs)],
      ),
    )
    const [replicas = 0, missing] = listOf(reply).map(numberOf)
    onReplicas(replicas)
    if (missing === 1 && now() - this.#republishedAt > republishEveryMs) writer.republish()
    await catchUp()
    await writer.flush()
    await lease.renew()
    if (!log.isLoaded()) return
    void this.#republish()
    if (lease.isHeld() && now() - this.#sweptAt > sweepEveryMs) this.#sweep(session)
  }

  async #republish(): Promise<void> {
    if (await this.#options.writer.republishAll()) this.#republishedAt = this.#options.now()
  }

  /** Runs while the beats go on, because they renew the lease. If the store does not answer, the session ends. */
  #sweep(session: Session): void {
    const { origin, now, wallClock } = this.#options
    this.#sweptAt = now()
    void Promise.allSettled([sweep(session, origin, wallClock())])
  }
}
