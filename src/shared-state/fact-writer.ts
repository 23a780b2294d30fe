/**
 * Sends facts to the store in batches: facts that are published while a batch is in flight form the next one. Facts that could not be sent
 * are kept and sent later. If there are too many of them, or the store has lost facts, all facts of this replica are sent again.
 */
import type { Fact } from '../digests/facts.ts'
import { openLifeMs } from '../digests/sightings.ts'
import { encodeFact, type FactRecord } from './fact-codec.ts'
import { bucketEndsAt, bucketOf, generations, keys, prefix } from './keys.ts'
import { numberOf, type Reply } from './reply.ts'
import { publishScript } from './scripts.ts'
import { deadlineMs, evalOf, type Session } from './session.ts'
import { within, type Argument } from './store-client.ts'
import { StoreRefused } from './store-errors.ts'

export interface FactWriterOptions {
  readonly origin: string
  readonly snapshot: () => Iterable<Fact>
  /** @throws {StoreUnavailable} */
  readonly session: () => Session
  readonly isUp: () => boolean
  readonly epoch: () => string
  /** The store was emptied after the epoch was read. */
  readonly onOtherEpoch: () => void
  /** Called with the error of a store that takes no writes, and with undefined when it takes writes again. */
  readonly onWrites: (error: StoreRefused | undefined) => void
  readonly wallClock: () => number
  /** Bound on unsent facts: about 10 MB. */
  readonly maxPending?: number
}

interface Waiter {
  readonly upTo: number
  readonly done: () => void
}

const maxBatch = 256
/** A command blocks all other commands of the store: one of this size takes it a fraction of a millisecond. */
const maxBatchBytes = 16_384
/** Entries of the log: with the bytes of a batch, 64 MB at most. */
const maxEntries = 4096

export class FactWriter {
  readonly #options: FactWriterOptions
  #pending: FactRecord[] = []
  /** The number of facts since the start, and the number of those that are stored or given up. */
  #accepted = 0
  #settled = 0
  #waiters: Waiter[] = []
  #isFlushing = false
  #isRepublishing = false
  #mustRepublish = false

  constructor(options: FactWriterOptions) {
    this.#options = options
  }

  /** Resolves when the facts are stored, or at the deadline. */
  async publish(facts: readonly Fact[]): Promise<void> {
    const records = this.#encode(facts)
    if (records.length === 0) return
    this.#pending.push(...records)
    this.#accepted += records.length
    if (this.#pending.length > (this.#options.maxPending ?? 20_000)) this.#giveUpPending()
    if (!this.#options.isUp()) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiters.push({ upTo: this.#accepted, done: resolve })
    void this.flush()
    await within(promise, deadlineMs).catch(() => undefined)
  }

  /** Requests that `republishAll` sends all facts of this replica. */
  republish(): void {
    this.#mustRepublish = true
  }

  /** @returns whether the store has all published facts. Never rejects. */
  async settle(): Promise<boolean> {
    await this.flush()
    return this.#pending.length === 0 && !this.#mustRepublish && !this.#isRepublishing
  }

  /** Sends the unsent facts. Never rejects. */
  async flush(): Promise<void> {
    if (this.#isFlushing) return
    this.#isFlushing = true
    try {
      for (;;) {
        const [batch] = batchesOf(this.#pending)
        if (batch === undefined) break
        const settled = this.#settled + batch.length
        if (!this.#isStored(await this.#options.session().command(this.#command(batch, false)))) break
        // Some facts may have been given up meanwhile.
        this.#pending.splice(0, Math.max(0, settled - this.#settled))
        this.#settle(Math.max(settled, this.#settled))
      }
    } catch (error) {
      this.#failed(error)
    }
    this.#isFlushing = false
    this.#release(Infinity)
  }

  /** Sends all facts of this replica if requested; the store adds the missing ones. @returns whether all were sent. Never rejects. */
  async republishAll(): Promise<boolean> {
    if (!this.#mustRepublish || this.#isRepublishing) return false
    this.#isRepublishing = true
    this.#mustRepublish = false
    try {
      for (const batch of batchesOf(this.#encoded(this.#options.snapshot())))
        if (!this.#isStored(await this.#options.session().patiently(this.#command(batch, true))))
          this.#mustRepublish = true
    } catch (error) {
      this.#mustRepublish = true
      this.#failed(error)
    }
    this.#isRepublishing = false
    return !this.#mustRepublish
  }

  #isStored(reply: Reply): boolean {
    this.#options.onWrites(undefined)
    const isStored = numberOf(reply) === 1
    if (!isStored) this.#options.onOtherEpoch()
    return isStored
  }

  #failed(error: unknown): void {
    if (error instanceof StoreRefused) this.#options.onWrites(error)
  }

  #giveUpPending(): void {
    this.#mustRepublish = true
    this.#pending = []
    this.#settle(this.#accepted)
  }

  #settle(upTo: number): void {
    this.#settled = upTo
    this.#release(upTo)
  }

  #release(upTo: number): void {
    for (const { done } of this.#waiters.filter((waiter) => waiter.upTo <= upTo)) done()
    this.#waiters = this.#waiters.filter((waiter) => waiter.upTo > upTo)
  }

  #encode(facts: Iterable<Fact>): FactRecord[] {
    return [...this.#encoded(facts)]
  }

  /** Skips open facts that have expired, and names with too many children. */
  *#encoded(facts: Iterable<Fact>): Generator<FactRecord> {
    const now = this.#options.wallClock()
    for (const fact of facts) {
      const record = encodeFact(fact, now)
      if (record !== undefined && (fact.isRestricted || record.stamp >= now - openLifeMs)) yield record
    }
  }

  #command(batch: readonly FactRecord[], isOnlyMissing: boolean): Argument[] {
    const now = bucketOf(this.#options.wallClock())
    const facts = batch.flatMap(({ kind, field, value, stamp }): Argument[] => {
      if (kind === 'T' || kind === 'N') return [kind, '', '', field, value]
      // A replica whose clock is ahead must not extend the life of a fact.
      const bucket = Math.min(bucketOf(stamp), now)
      return [kind, String(bucket), String(bucketEndsAt(bucket)), field, value]
    })
    return evalOf(
      publishScript,
      [keys.epoch, keys.log, keys.bell, keys.index],
      [
        this.#options.epoch(),
        this.#options.origin,
        isOnlyMissing ? '1' : '0',
        String(maxEntries),
        prefix,
        String(generations),
        ...facts,
      ],
    )
  }
}

function* batchesOf(records: Iterable<FactRecord>): Generator<FactRecord[]> {
  let batch: FactRecord[] = []
  let bytes = 0
  for (const record of records) {
    const size = record.field.length + record.value.length
    if (batch.length > 0 && (batch.length === maxBatch || bytes + size > maxBatchBytes)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
