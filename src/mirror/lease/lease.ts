/**
 * A lease, so that only one of several replicas writes. The holder renews it, and stops writing before another replica may take it.
 * @see https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { WritePermit } from '../registry/write-permit.ts'

/** The lease as the API server has it. */
export interface LeaseRecord {
  /** Empty if nobody holds it. */
  readonly holder: string
  readonly durationSeconds: number
  /** Milliseconds since the epoch. Only people read it: replicas do not compare their clocks. */
  readonly acquiredAt: number
  readonly renewedAt: number
  /** How often the holder has changed. */
  readonly transitions: number
  /** The version of the API server, which refuses a write with another version. Undefined for a new lease. */
  readonly version: string | undefined
}

export interface LeaseStore {
  /** @returns undefined if there is no lease. @throws {Error} if the API server does not answer */
  readonly read: () => Promise<LeaseRecord | undefined>
  /** @returns false if another replica was faster. @throws {Error} if the API server does not answer */
  readonly write: (record: LeaseRecord) => Promise<boolean>
}

export interface LeaseOptions {
  readonly store: LeaseStore
  /** The unique name of this replica. */
  readonly identity: string
  readonly clock: Clock
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly observe: (change: LeaseChange) => void
}

export type LeaseChange =
  | { readonly what: 'acquired' }
  | { readonly what: 'lost' }
  | { readonly what: 'failed'; readonly error: Error }

/** Milliseconds, as in client-go. */
const durationMs = 15_000
/** The holder sends writes for this long after a renewal began. The rest of the lease is for writes that are still in flight. */
const writingMs = 10_000
const retryMs = 2000

export class Lease implements WritePermit {
  readonly #options: LeaseOptions
  readonly #now: () => number
  /** The record that was seen last, and when it was first seen. */
  #seen: { readonly record: LeaseRecord; readonly at: number } | undefined
  #heldUntil = -Infinity
  /** The same in milliseconds since the epoch. */
  #heldUntilEpoch = -Infinity
  #wasHeld = false
  #isStopped = false
  #cancel: () => void = () => undefined
  #trying: Promise<void> = Promise.resolve()

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * By a monotonic clock, which nobody sets back, and by the time of day: a monotonic clock stands while a virtual machine is suspended. If the
   * time of day jumps ahead, the next renewal gives the permit back.
   */
  readonly isHeld = (): boolean =>
    this.#options.clock.now() < this.#heldUntil && this.#now() < this.#heldUntilEpoch

  start(): void {
    this.#trying = this.#round()
  }

  /** Gives the lease back, so that the next replica need not wait for its end. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel()
    await this.#trying
    const wasHeld = this.isHeld()
    // This replica stops writing before another one may start.
    this.#heldUntil = -Infinity
    if (wasHeld) await this.#giveBack().catch(() => undefined)
  }

  async #round(): Promise<void> {
    await this.#try()
    if (!this.#isStopped) this.#cancel = this.#options.clock.after(retryMs, () => this.start())
  }

  async #giveBack(): Promise<void> {
    const { store, identity } = this.#options
    const current = await store.read()
    if (current?.holder !== identity) return
    await store.write({ ...current, holder: '', durationSeconds: 1, renewedAt: this.#now() })
  }

  async #try(): Promise<void> {
    const { clock, observe } = this.#options
    const began = clock.now()
    const beganAt = this.#now()
    try {
      if (await this.#acquire()) {
        this.#heldUntil = began + writingMs
        this.#heldUntilEpoch = beganAt + writingMs
      }
    } catch (error) {
      observe({ what: 'failed', error: error as Error })
    }
    const isHeld = this.isHeld()
    if (isHeld !== this.#wasHeld) observe({ what: isHeld ? 'acquired' : 'lost' })
    this.#wasHeld = isHeld
  }

  /** @returns whether this replica holds the lease and has just renewed it */
  async #acquire(): Promise<boolean> {
    const { store, identity } = this.#options
    const current = await store.read()
    if (current !== undefined) this.#see(current)
    const isOurs = current?.holder === identity
    if (current !== undefined && !isOurs && !this.#hasEnded(current)) return false
    const renewedAt = this.#now()
    return await store.write({
      holder: identity,
      durationSeconds: durationMs / 1000,
      acquiredAt: isOurs ? current.acquiredAt : renewedAt,
      renewedAt,
      transitions: (current?.transitions ?? 0) + (isOurs || current === undefined ? 0 : 1),
      version: current?.version,
    })
  }

  #see(record: LeaseRecord): void {
    if (this.#seen?.record.version !== record.version) this.#seen = { record, at: this.#options.clock.now() }
  }

  /** Another replica's lease is timed by the clock of this one, because the other clock may be wrong. */
  #hasEnded({ holder, durationSeconds }: LeaseRecord): boolean {
    const seenAt = this.#seen?.at as number
    return holder === '' || this.#options.clock.now() >= seenAt + Math.max(durationSeconds * 1000, durationMs)
  }
}
