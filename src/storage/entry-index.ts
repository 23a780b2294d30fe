/**
 * The index of the entries, in the order of their use. The bound is in bytes. An entry takes about 250 bytes of memory: its key is the
 * digest as 32 characters, its value one number.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'

export interface FoundEntry {
  readonly digest: string
  /** Bytes. */
  readonly size: number
  /** Milliseconds since 1970. */
  readonly mtimeMs: number
}

export interface EntryIndexOptions {
  /** Bytes of all entries together, as they stand on the disk. */
  readonly maxBytes: number
  /** Called for each evicted entry: the least recently used one. */
  readonly onEvicted: (digest: string, size: number) => void
}

/** File systems store files in blocks of this size. */
const blockBytes = 4096
/** Entries between two turns of the event loop: about 5 ms. */
const sliceEntries = 5000

/** `sha256:<hex>` -> its bytes as characters, with the algorithm as one letter before. */
const keyOf = (digest: string): string => {
  const colon = digest.indexOf(':')
  return `${digest.slice(3, colon)}:${Buffer.from(digest.slice(colon + 1), 'hex').toString('latin1')}`
}

const digestOf = (key: string): string => {
  const colon = key.indexOf(':')
  return `sha${key.slice(0, colon)}:${Buffer.from(key.slice(colon + 1), 'latin1').toString('hex')}`
}

/**
 * The size and a mark of the time of the last change in one number, because an object would take as much memory as all the rest. Mark 0: the
 * bytes were not compared with the digest.
 */
const valueOf = (size: number, mark: number): number => size * marks + (size < maxMarkedSize ? mark : 0)
const sizeIn = (value: number): number => Math.floor(value / marks)
const marks = 2 ** 16
/** Bytes. A number holds 53 bits exactly; the entries of larger blobs are compared with their digest each time. */
const maxMarkedSize = 2 ** 37
/** Other times have the same mark once in 65,535 times. The fraction of a millisecond counts as well. */
const markOf = (mtimeMs: number): number => (Math.floor(Math.abs(mtimeMs) * 1024) % (marks - 1)) + 1
const bytesOnDisk = (size: number): number => Math.ceil(Math.max(size, 1) / blockBytes) * blockBytes

export class EntryIndex {
  readonly #options: EntryIndexOptions
  #entries: LRUCache<string, number>
  /** Bytes of fills, which become entries. */
  #reserved = 0
  /** Keys that were removed while the names of an earlier run were still being read: those names may contain them. */
  #removed: Set<string> | undefined = new Set()

  constructor(options: EntryIndexOptions) {
    this.#options = options
    this.#entries = this.#create()
  }

  get entries(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#entries.calculatedSize
  }

  /** Bytes; undefined without an entry. */
  sizeOf(digest: string): number | undefined {
    const value = this.#entries.peek(keyOf(digest))
    return value === undefined ? undefined : sizeIn(value)
  }

  /** Makes it the most recently used entry. */
  use(digest: string, size: number): void {
    const key = keyOf(digest)
    if (this.#entries.get(key) === undefined) this.#set(this.#entries, key, valueOf(size, 0))
  }

  /**
   * Its bytes were compared with its digest since the program started.
   * @param mtimeMs of the file, from before its bytes were read
   */
  verified(digest: string, size: number, mtimeMs: number): void {
    this.#removed?.delete(keyOf(digest))
    this.#set(this.#entries, keyOf(digest), valueOf(size, markOf(mtimeMs)))
    this.#shrink()
  }

  /** Whether its bytes were compared, and nobody has changed the file since. @param mtimeMs of the file now */
  isVerified(digest: string, mtimeMs: number): boolean {
    return (this.#entries.peek(keyOf(digest)) ?? 0) % marks === markOf(mtimeMs)
  }

  remove(digest: string): void {
    this.#removed?.add(keyOf(digest))
    this.#entries.delete(keyOf(digest))
  }

  /** Its file may still exist. */
  isRemoved(digest: string): boolean {
    return this.#removed?.has(keyOf(digest)) === true
  }

  /** Makes room for a fill. @returns false if it does not fit */
  reserve(size: number): boolean {
    const bytes = bytesOnDisk(size)
    if (this.#reserved + bytes > this.#options.maxBytes) return false
    this.#reserved += bytes
    this.#shrink()
    return true
  }

  /** The fill has ended. */
  unreserve(size: number): void {
    this.#reserved -= bytesOnDisk(size)
  }

  /** Evicts at least so many bytes, if there are as many. @returns bytes */
  evict(bytes: number): number {
    const before = this.bytes
    while (this.#entries.size > 0 && before - this.bytes < bytes) this.#entries.pop()
    return before - this.bytes
  }

  /**
   * Adds the entries of an earlier run of the program. They count as older than everything that was used since the start, whatever their
   * times say. The work is done in slices between turns of the event loop, and the index can be used meanwhile.
   */
  async absorb(found: readonly FoundEntry[]): Promise<void> {
    const order = oldestFirst(found)
    const fresh = this.#create()
    for (let at = 0; at < order.length; at++) {
      const { digest, size } = found[order[at] as number] as FoundEntry
      const key = keyOf(digest)
      if (!this.#entries.has(key)) this.#set(fresh, key, valueOf(size, 0))
      if (at % sliceEntries === sliceEntries - 1) await turn()
    }
    for (const key of this.#removed ?? []) fresh.delete(key)
    const live = this.#entries
    this.#entries = fresh
    for (const key of live.rkeys()) this.#set(fresh, key, live.peek(key) as number)
    this.#removed = undefined
    this.#shrink()
  }

  #create(): LRUCache<string, number> {
    const { maxBytes, onEvicted } = this.#options
    return new LRUCache<string, number>({
      // `maxSize` instead of `max`: lru-cache reserves memory for `max` entries at once.
      maxSize: maxBytes,
      dispose: (value, key, reason) => {
        if (reason === 'evict') onEvicted(digestOf(key), sizeIn(value))
      },
    })
  }

  #set(entries: LRUCache<string, number>, key: string, value: number): void {
    entries.set(key, value, { size: bytesOnDisk(sizeIn(value)) })
  }

  #shrink(): void {
    const { maxBytes } = this.#options
    while (this.#entries.size > 0 && this.bytes + this.#reserved > maxBytes) this.#entries.pop()
  }
}

/** Positions in the list. A million numbers are sorted in a tenth of a second, a million objects in more than one. */
const oldestFirst = (found: readonly FoundEntry[]): Uint32Array => {
  const now = Date.now()
  const keys = new Float64Array(found.length)
  // Loops: a function for each of a million entries takes several times as long.
  for (let at = 0; at < keys.length; at++)
    keys[at] = ageClass((found[at] as FoundEntry).mtimeMs, now) * maxEntries + at
  keys.sort()
  const order = new Uint32Array(keys.length)
  for (let at = 0; at < keys.length; at++) order[at] = (keys[at] as number) % maxEntries
  return order
}

/** With the 27 bits of the class, these are the 53 bits that a number holds exactly. */
const maxEntries = 2 ** 26
const classMs = 16_000

/** If the clock was wrong: a time before 1970 counts as the oldest, a time in the future as now. */
const ageClass = (mtimeMs: number, now: number): number =>
  Math.floor(Math.max(Math.min(mtimeMs, now), 0) / classMs)
