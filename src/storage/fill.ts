/**
 * A blob on its way into the store: one writer, and any number of readers that follow it on the growing file, each at its own pace and
 * from any offset. No reader gets the last bytes before the digest of all bytes is right.
 */
import type { Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'
import { DiskWait } from './disk-wait.ts'
import { endedBy, FillEnded, outcomeOf, WrongContent, type FillOutcome } from './fill-outcome.ts'
import { MarkedHash, type HashedPrefix } from './marked-hash.ts'

export interface FillOptions {
  readonly digest: string
  /** Bytes, as upstream announced them. */
  readonly size: number
  /** Whose turns at the disk its writes take. */
  readonly requester: string
  readonly fd: number
  readonly disk: Pick<Disk, 'read' | 'write' | 'close'>
  readonly queue: DiskQueue
  /** Makes it an entry of the store. Readers do not wait for it. */
  readonly publish: () => Promise<void>
  /** Called once, when the file is complete or no longer wanted. */
  readonly onEnd: (outcome: FillOutcome, error?: unknown) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
  /** Share of the time since the fill began in which the event loop was busy, from 0 to 1. */
  readonly busyness?: () => number
  /** Milliseconds that a fill goes on without a reader. */
  readonly unreadMs?: number
}

/** What no reader gets before the digest is right. More than one byte, so that the end is not a packet of its own. */
export const heldBackBytes = 16 * 1024
const defaultUnreadMs = 60_000

export class Fill {
  readonly size: number
  readonly #options: FillOptions
  readonly #hash: MarkedHash
  readonly #now: () => number
  readonly #diskWait: DiskWait
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
  #writing: Promise<void> = Promise.resolve()
  /** The call itself, which goes on after its deadline. */
  #call: Promise<unknown> = Promise.resolve()

  constructor(options: FillOptions) {
    this.#options = options
    this.size = options.size
    this.#hash = new MarkedHash(options.digest, options.size)
    this.#now = options.now ?? (() => performance.now())
    this.#diskWait = new DiskWait({ now: this.#now, busyness: options.busyness })
  }

  /** Aborted when the bytes of upstream are no longer wanted. */
  get signal(): AbortSignal {
    return this.#aborted.signal
  }

  /** Bytes that readers can have now. */
  get available(): number {
    return this.#isVerified ? this.size : Math.max(0, Math.min(this.#written, this.size - heldBackBytes))
  }

  /** Whether a new reader can follow it. */
  get isOpen(): boolean {
    return this.#error === undefined && !this.#isClosed
  }

  /** Each reader owes one `leave`. */
  enter(): void {
    this.#readers += 1
    clearTimeout(this.#unread)
  }

  leave(): void {
    this.#readers -= 1
    if (this.#readers > 0) return
    if (this.#outcome !== undefined) this.#close()
    else if (this.#hash.at < this.size / 2) this.#end('cancelled', new FillEnded('nobody reads it'))
    else this.#cancelLater()
  }

  /** Takes a chunk of upstream, in order. @throws {WrongContent} if there are more than were announced */
  readonly add = (chunk: Buffer, release: () => void): void => {
    if (this.#error !== undefined) throw this.#error
    if (this.#hash.at + chunk.length > this.size)
      throw new WrongContent('upstream sent more than it announced')
    this.#hash.update(chunk)
    this.#writing = this.#writeAfter(this.#writing, chunk, release)
  }

  /** Upstream has sent all. Resolves when the file is in the store, or is not going to be. */
  async complete(): Promise<void> {
    await this.#writing
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

  /** Upstream broke off, or sent something else. */
  fail(error: unknown): void {
    const isWrong = error instanceof WrongContent
    this.#end(isWrong ? 'wrong' : 'failed', isWrong ? error : endedBy(error))
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
    const wanted = into.subarray(0, this.available - position)
    const count = await queue.run(requester, async () => await disk.read(fd, wanted, position))
    if (count === 0) throw new FillEnded('the file is shorter than what was written into it')
    return count
  }

  /** For a reader that has the bytes before `position`, and goes on elsewhere. */
  prefix(position: number): HashedPrefix {
    return this.#hash.prefix(position)
  }

  async #writeAfter(earlier: Promise<void>, chunk: Buffer, release: () => void): Promise<void> {
    await earlier
    await this.#write(chunk)
    release()
  }

  async #write(chunk: Buffer): Promise<void> {
    if (this.#error !== undefined) return
    const { disk, queue, requester, fd } = this.#options
    const position = this.#written
    let begunAt = 0
    const write = async (): Promise<void> => {
      begunAt = this.#now()
      await (this.#call = disk.write(fd, chunk, position))
    }
    try {
      // Apart from the reads of the same requester: a hundred readers would keep the writer waiting for what they wait for.
      await queue.run(`fill ${requester}`, write)
    } catch (error) {
      this.#end(outcomeOf(error), endedBy(error))
      return
    }
    this.#written += chunk.length
    this.#countWait(begunAt)
    this.#wake()
  }

  /** Only time in which a reader had nothing to read counts. */
  #countWait(begunAt: number): void {
    if (this.#progress === undefined) return
    this.#diskWait.add(begunAt)
    if (this.#diskWait.isTooLong()) this.#end('slow', new FillEnded('the disk is slower than upstream'))
  }

  #cancelLater(): void {
    const { unreadMs = defaultUnreadMs } = this.#options
    const cancel = () => this.#end('cancelled', new FillEnded('nobody reads it'))
    this.#unread = setTimeout(cancel, unreadMs).unref()
  }

  /** The file is of no use: what readers still want is upstream. */
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
    this.#options.onEnd(outcome, error)
    if (this.#readers === 0) this.#close()
  }

  #wake(): void {
    this.#progress?.resolve()
    this.#progress = undefined
  }

  /** The last write ends first: its descriptor would soon be that of another file. */
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
