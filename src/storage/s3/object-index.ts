/**
 * What is known about the objects of the bucket, which other replicas write and remove as well. So nothing is known for long.
 */
import { createBoundedCache, type BoundedCache } from '../../concurrency/bounded-cache.ts'

/** Milliseconds. A client that is redirected to an object needs it there: so it was seen within this time. */
const presentMs = 60_000
/** Milliseconds: for so long an object stays hidden that another replica has just uploaded. */
const absentMs = 10_000
/** Milliseconds: an object that was removed by a rule of the bucket is uploaded again after this time, if the disk still has it. */
const storedMs = 24 * 3_600_000
/** Milliseconds for which an upload that failed is not tried again. */
const failedMs = 60_000
/** Milliseconds in which an object with wrong bytes is replaced, if its blob is pulled. */
const wrongMs = 3_600_000

/** Entries of each kind of knowledge: about 20 MB at most. */
const maxEntries = 100_000

export class ObjectIndex {
  readonly #present: BoundedCache<string, number>
  readonly #absent: BoundedCache<string, true>
  readonly #stored: BoundedCache<string, true>
  readonly #failed: BoundedCache<string, true>
  readonly #wrong: BoundedCache<string, true>

  /** @param now milliseconds, monotonic */
  constructor(now: () => number) {
    const create = <Value extends {}>(ttlMs: number) =>
      createBoundedCache<string, Value>(maxEntries, { ttlMs, now })
    this.#present = create(presentMs)
    this.#absent = create(absentMs)
    this.#stored = create(storedMs)
    this.#failed = create(failedMs)
    this.#wrong = create(wrongMs)
  }

  /** S3 has it, with so many bytes. */
  found(key: string, size: number): void {
    this.#absent.delete(key)
    this.#present.set(key, size)
    this.#stored.set(key, true)
  }

  /** S3 does not have it. */
  missed(key: string): void {
    this.#present.delete(key)
    this.#stored.delete(key)
    this.#absent.set(key, true)
  }

  /** Its bytes are not those of its digest. */
  wrong(key: string): void {
    this.missed(key)
    this.#failed.delete(key)
    // Longer than an object that is missing: what follows it is an upload by this replica, or by another one that found the same.
    this.#absent.set(key, true, { ttl: presentMs })
    this.#wrong.set(key, true)
  }

  /** This replica has uploaded it. */
  uploaded(key: string, size: number): void {
    this.#wrong.delete(key)
    this.found(key, size)
  }

  uploadFailed(key: string): void {
    this.#failed.set(key, true)
  }

  /** Bytes, if S3 had it just now. */
  sizeOf(key: string): number | undefined {
    return this.#present.get(key)
  }

  isAbsent(key: string): boolean {
    return this.#absent.has(key)
  }

  isWrong(key: string): boolean {
    return this.#wrong.has(key)
  }

  /** Whether an upload may be of use. */
  mayLack(key: string): boolean {
    return !this.#stored.has(key) && !this.#failed.has(key)
  }
}
