/**
 * One writer among several replicas: a lease that is renewed, and that its holder leaves before another may take it.
 * @see https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { WritePermit } from '../registry/write-permit.ts'

/** The lease as the API server has it. */
export interface LeaseRecord {
  /** Empty where nobody has it. */
  readonly holder: string
  readonly durationSeconds: number
  /** Milliseconds since the epoch: for people. Nobody compares clocks by it. */
  readonly acquiredAt: number
  readonly renewedAt: number
  /** How often the holder has changed. */
  readonly transitions: number
  /** Of the API server: a write of another one is refused. Undefined for a lease that is to be created. */
  readonly version: string | undefined
}

export interface LeaseStore {
  /** @returns undefined where there is none. @throws {Error} where the API server does not answer */
  readonly read: () => Promise<LeaseRecord | undefined>
  /** @returns false where another replica was faster. @throws {Error} where the API server does not answer */
  readonly write: (record: LeaseRecord) => Promise<boolean>
}

export interface LeaseOptions {
  readonly store: LeaseStore
  /** Of this replica, unlike any other. */
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

/** Those of client-go. Milliseconds. */
const durationMs = 15_000
/** After a renewal began, the holder writes for so long. The rest is for what it has sent by then. */
const writingMs = 10_000
const retryMs = 2000

export class Lease implements WritePermit {
  readonly #options: LeaseOptions
  readonly #now: () => number
  /** The record that was seen last, and when it was first seen. */
  #seen: { readonly record: LeaseRecord; readonly at: number } | undefined
  #heldUntil = -Infinity
  #wasHeld = false
  #isStopped = false
  #cancel: () => void = () => undefined
  #trying: Promise<void> = Promise.resolve()

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** By a monotonic clock, so that a process that was stopped for a minute knows that it has lost it. */
  readonly isHeld = (): boolean => this.#options.clock.now() < this.#heldUntil

  start(): void {
    this.#trying = this.#round()
  }

  /** Gives the lease back, so that the next replica need not wait for its end. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel()
    await this.#trying
    const wasHeld = this.isHeld()
    // First nothing is written any more, then another one may.
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
    try {
      if (await this.#acquire()) this.#heldUntil = began + writingMs
    } catch (error) {
      observe({ what: 'failed', error: error as Error })
    }
    const isHeld = this.isHeld()
    if (isHeld !== this.#wasHeld) observe({ what: isHeld ? 'acquired' : 'lost' })
    this.#wasHeld = isHeld
  }

  /** @returns whether the lease is ours, and was written just now */
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

  /** Of another replica, only what is seen here counts: its clock may be wrong. */
  #hasEnded({ holder, durationSeconds }: LeaseRecord): boolean {
    const seenAt = this.#seen?.at as number
    return holder === '' || this.#options.clock.now() >= seenAt + Math.max(durationSeconds * 1000, durationMs)
  }
}
