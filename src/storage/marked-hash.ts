/**
 * The running hash of a blob, with its saved state at some offsets (marks). A reader that has the first bytes and fetches the rest from
 * another source continues with a saved state, so that all its bytes are compared with the digest. Other readers cost no extra hashing.
 */
import { createHash, type Hash } from 'node:crypto'

/** The hash of the bytes before the offset at which a reader continues. */
export interface HashedPrefix {
  /** An offset at or before that of the reader. Fetch the rest from here on. */
  readonly at: number
  /** The hash of the bytes before `at`: a copy for this reader. */
  readonly hash: Hash
  /**
   * The hash of the bytes before `until`, an offset at or after that of the reader. The reader already has some bytes after `at`. If the
   * fetched bytes give this hash, they are the same.
   */
  readonly check?: { readonly until: number; readonly hex: string } | undefined
}

interface Mark {
  readonly at: number
  readonly hash: Hash
}

/** Bytes between two marks, and the maximum of marks. Each mark takes half a kilobyte. */
const minMarkBytes = 1024 * 1024
const maxMarks = 128

export const algorithmOf = (digest: string): string => digest.slice(0, digest.indexOf(':'))

export const nothingHashed = (digest: string): HashedPrefix => ({
  at: 0,
  hash: createHash(algorithmOf(digest)),
})

export class MarkedHash {
  readonly #digest: string
  readonly #hash: Hash
  readonly #everyBytes: number
  readonly #marks: Mark[]
  #at = 0

  /** @param size bytes of the blob */
  constructor(digest: string, size: number) {
    this.#digest = digest
    this.#hash = createHash(algorithmOf(digest))
    this.#everyBytes = Math.max(minMarkBytes, size / maxMarks)
    this.#marks = [{ at: 0, hash: this.#hash.copy() }]
  }

  /** Bytes so far. */
  get at(): number {
    return this.#at
  }

  update(chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#at += chunk.length
    if (this.#at >= this.#marks.length * this.#everyBytes)
      this.#marks.push({ at: this.#at, hash: this.#hash.copy() })
  }

  /** Whether the bytes so far are those of the digest. */
  isRight(): boolean {
    return this.#digest === `${algorithmOf(this.#digest)}:${this.#hash.copy().digest('hex')}`
  }

  /** @param position at most `at` */
  prefix(position: number): HashedPrefix {
    const marks = [...this.#marks, { at: this.#at, hash: this.#hash }]
    const before = marks.findLast(({ at }) => at <= position) as Mark
    const after = marks.find(({ at }) => at >= position) as Mark
    return {
      at: before.at,
      hash: before.hash.copy(),
      check: before.at === position ? undefined : { until: after.at, hex: after.hash.copy().digest('hex') },
    }
  }
}
