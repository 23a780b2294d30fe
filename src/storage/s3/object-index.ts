/**
 * A short-lived cache of what is known about objects in the bucket. Other replicas write and remove objects as well.
 */
import { createBoundedCache, type BoundedCache } from '../../concurrency/bounded-cache.ts'

/** Milliseconds. A client is redirected only to an object that was seen within this time. */
const presentMs = 60_000
/** Milliseconds for which an object counts as missing. An upload by another replica is noticed this late. */
const absentMs = 10_000
/**
 * Milliseconds after which an object is checked again before an upload. A rule of the bucket may have removed it while the disk still has
 * it.
 */
const storedMs = 24 * 3_600_000
/** Milliseconds for which an upload that failed is not tried again. */
const failedMs = 60_000
/** Milliseconds for which a wrong object is bypassed. If its blob is pulled meanwhile, the object is replaced. */
const wrongMs = 3_600_000

/** Bound on entries of each kind; about 20 MB in all. */
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

  /** Notes that S3 has the object, and its size in bytes. */
  found(key: string, size: number): void {
    this.#absent.delete(key)
    this.#present.set(key, size)
    this.#stored.set(key, true)
  }

  /** Notes that S3 does not have it. */
  missed(key: string): void {
    this.#present.delete(key)
    this.#stored.delete(key)
    this.#absent.set(key, true)
  }

  /** Notes that its bytes do not match its digest. */
  wrong(key: string): void {
    this.missed(key)
    this.#failed.delete(key)
    // Longer than for a missing object, because this replica, or another one that found the same, uploads it again.
    this.#absent.set(key, true, { ttl: presentMs })
    this.#wrong.set(key, true)
  }

  /** Notes that this replica has uploaded it. */
  uploaded(key: string, size: number): void {
    this.#wrong.delete(key)
    this.found(key, size)
  }

  uploadFailed(key: string): void {
    this.#failed.set(key, true)
  }

  /** Its size in bytes, if S3 had it a short time ago. */
  sizeOf(key: string): number | undefined {
    return this.#present.get(key)
  }

  isAbsent(key: string): boolean {
    return this.#absent.has(key)
  }

  isWrong(key: string): boolean {
    return this.#wrong.has(key)
  }

  /** Whether an upload makes sense. */
  mayLack(key: string): boolean {
    return !this.#stored.has(key) && !this.#failed.has(key)
  }
}
