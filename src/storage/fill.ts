/**
 * A fill: a blob that is being written into the store. It has one writer and any number of readers, which follow it on the growing file,
 * each at its own pace and from any offset. No reader gets the last bytes before all bytes match the digest.
 */
import { DiskWait } from './disk-wait.ts'
import type { FillOptions } from './fill-options.ts'
import { endedBy, FillEnded, outcomeOf, WrongContent, type FillOutcome } from './fill-outcome.ts'
import { MarkedHash, type HashedPrefix } from './marked-hash.ts'
import { WriteBehind } from './write-behind.ts'

/**
 * Bytes at the end of the blob that readers get only after the digest was checked. More than one byte, so that the end is not a network
 * packet of its own.
 */
export const heldBackBytes = 16 * 1024
const defaultUnreadMs = 60_000

export class Fill {
  readonly size: number
  readonly #options: FillOptions
  readonly #hash: MarkedHash
  readonly #now: () => number
  readonly #diskWait: DiskWait
  readonly #behind: WriteBehind
  readonly #aborted = new AbortController()
  #written = 0
  #isVerified = false
  #outcome: FillOutcome | undefined
  #error: Error | undefined
  #isClosed = false
  #readers = 0
  #unread: NodeJS.Timeout | undefined
  /** Readers that wait for bytes are released together. */
  #progress: PromiseWithResolvers<void> | undefined
  /** The last write, until its deadline, and its call, which may go on after that. */
  #writing: Promise<unknown> = Promise.resolve()
  #call: Promise<unknown> = Promise.resolve()

  constructor(options: FillOptions) {
    this.#options = options
    this.size = options.size
    this.#hash = new MarkedHash(options.digest, options.size)
    this.#now = options.now ?? (() => performance.now())
    this.#diskWait = new DiskWait({ now: this.#now, busyness: options.busyness })
    const { buffers, blockBytes } = options
    const write = async (bytes: Buffer, at: number) => await (this.#writing = this.#write(bytes, at))
    this.#behind = new WriteBehind({ buffers, blockBytes, write, now: this.#now })
  }

  /** Aborted when no further bytes of upstream are needed. */
  get signal(): AbortSignal {
    return this.#aborted.signal
  }

  /** Bytes that readers can have now. */
  get available(): number {
    // Bytes that are not on the disk yet are in memory, as long as they may still be written.
    const there = this.#error === undefined ? this.#hash.at : this.#written
    return this.#isVerified ? this.size : Math.max(0, Math.min(there, this.size - heldBackBytes))
  }

  /** Whether a new reader can follow this fill. */
  get isOpen(): boolean {
    return this.#error === undefined && !this.#isClosed
  }

  /** Each reader must call `leave` once. */
  enter(): void {
    this.#readers += 1
    clearTimeout(this.#unread)
  }

  leave(): void {
    this.#readers -= 1
    if (this.#readers > 0) return
    if (this.#outcome !== undefined) this.#close()
    else if (this.#hash.at < this.size / 2) this.#cancel()
    else this.#cancelLater()
  }

  /** Takes a chunk of upstream, in order. @throws {WrongContent} if there are more than were announced */
  readonly add = (chunk: Buffer, release: () => void): void => {
    if (this.#error !== undefined) throw this.#error
    if (this.#hash.at + chunk.length > this.size)
      throw new WrongContent('upstream sent more than it announced')
    this.#hash.update(chunk)
    this.#behind.add(chunk, release)
    this.#wake()
  }

  /** Call this after the last byte of upstream. Resolves when the file is in the store, or has failed to get there. */
  async complete(): Promise<void> {
    await this.#behind.flush()
    if (this.#error !== undefined) return
    if (this.#hash.at !== this.size || !this.#hash.isRight()) {
      this.#end('wrong', new WrongContent('the bytes of upstream are not those of the digest'))
      return
    }
    this.#isVerified = true
    this.#wake()
    try {
      await this.#options.publish()
      this.#finish('stored')
    } catch (error) {
      this.#finish(outcomeOf(error), error)
    }
  }

  /** Call this if upstream broke off, or sent other bytes. Resolves when readers have the bytes that came before. */
  async fail(error: unknown): Promise<void> {
    if (error instanceof WrongContent) return this.#end('wrong', error)
    await this.#behind.flush()
    return this.#end('failed', endedBy(error))
  }

  /** @param requester whose turn at the disk it takes */
  async read(into: Buffer, position: number, requester: string): Promise<number> {
    const { disk, queue, fd } = this.#options
    while (this.#isClosed || position >= this.available) {
      if (this.#isClosed) throw new FillEnded('the fill was over before', { cause: this.#error })
      if (this.#error !== undefined) throw this.#error
      this.#progress ??= Promise.withResolvers()
      await this.#progress.promise
    }
    const near = this.#behind.read(into.subarray(0, this.available - position), position)
    if (near > 0) return near
    const wanted = into.subarray(0, this.#written - position)
    const count = await queue.run(requester, async () => await disk.read(fd, wanted, position))
    if (count === 0) throw new FillEnded('the file is shorter than what was written into it')
    return count
  }

  /** For a reader that has the bytes before `position`, and reads the rest from another source. */
  prefix(position: number): HashedPrefix {
    return this.#hash.prefix(position)
  }

  async #write(bytes: Buffer, position: number): Promise<boolean> {
    const { disk, queue, requester, fd } = this.#options
    let begunAt = 0
    const write = async (): Promise<void> => {
      begunAt = this.#now()
      await (this.#call = disk.write(fd, bytes, position))
    }
    try {
      // Writes take turns apart from the reads of the same requester. Otherwise a hundred readers would delay the writer that they all wait
      // for.
      await queue.run(`fill ${requester}`, write)
    } catch (error) {
      this.#end(outcomeOf(error), endedBy(error))
      return false
    }
    this.#written = position + bytes.length
    this.#countWait(begunAt)
    return true
  }

  /** Only time in which a reader had nothing to read counts: then upstream waited for the disk. */
  #countWait(begunAt: number): void {
    if (this.#progress === undefined || !this.#behind.isHolding) return
    this.#diskWait.add(begunAt)
    if (this.#diskWait.isTooLong()) this.#end('slow', new FillEnded('the disk is slower than upstream'))
  }

  #cancel(): void {
    this.#end('cancelled', new FillEnded('nobody reads it'))
  }

  #cancelLater(): void {
    const { unreadMs = defaultUnreadMs } = this.#options
    this.#unread = setTimeout(() => this.#cancel(), unreadMs).unref()
  }

  /** The file cannot be completed: readers get the rest from upstream. */
  #end(outcome: FillOutcome, error: Error): void {
    if (this.#outcome !== undefined || this.#isVerified) return
    this.#error = error
    this.#aborted.abort(error)
    this.#finish(outcome, error)
    this.#wake()
  }

  #finish(outcome: FillOutcome, error?: unknown): void {
    clearTimeout(this.#unread)
    this.#outcome = outcome
    this.#behind.end()
    this.#options.onEnd(outcome, error)
    if (this.#readers === 0) this.#close()
  }

  #wake(): void {
    this.#progress?.resolve()
    this.#progress = undefined
  }

  /** Waits for the last write: after a close, another file could get the same descriptor. */
  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const { disk, fd } = this.#options
    const close = async () => await disk.close(fd)
    void this.#writing
      .then(async () => await this.#call)
      .then(close, close)
      .catch(() => undefined)
  }
}
