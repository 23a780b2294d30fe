/**
 * A blob on its way into the store: one writer, and any number of readers that follow it on the growing file, each at its own pace and
 * from any offset. No reader gets the last bytes before the digest of all bytes is right.
 */
import { createHash, type Hash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'

/** The bytes are not those of the digest. What a reader got of them cannot be made good for. */
export class WrongContent extends Error {
  override readonly name = 'WrongContent'
}

/** The store has not got the rest: it is upstream. */
export class FillEnded extends Error {
  override readonly name = 'FillEnded'
}

/** `stored`: complete. `cancelled`: nobody reads it. `failed`: upstream broke off. `wrong`: another digest or length. The rest: the disk. */
export type FillOutcome = 'stored' | 'cancelled' | 'failed' | 'wrong' | 'full' | 'slow' | 'unwritable'

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
/** The disk may make readers wait for so long in all, or else for a share of the time: a slower one than the network is no use. */
const maxDiskWaitMs = 1000
const maxDiskShare = 2 / 3
/** If the event loop is this busy, what the disk has done is noticed late: it is not the disk that is slow. */
const maxBusyness = 0.7
const defaultUnreadMs = 60_000

export class Fill {
  readonly size: number
  readonly #options: FillOptions
  readonly #hash: Hash
  readonly #now: () => number
  readonly #startedAt: number
  readonly #busyness: () => number
  readonly #aborted = new AbortController()
  #received = 0
  #written = 0
  #isVerified = false
  #outcome: FillOutcome | undefined
  #error: Error | undefined
  #isClosed = false
  #readers = 0
  #unread: NodeJS.Timeout | undefined
  /** Readers that wait for bytes are released together. */
  #progress: PromiseWithResolvers<void> | undefined
  #diskWaitMs = 0
  #writing: Promise<void> = Promise.resolve()
  /** The call itself, which goes on after its deadline. */
  #call: Promise<unknown> = Promise.resolve()

  constructor(options: FillOptions) {
    this.#options = options
    this.size = options.size
    this.#hash = createHash(options.digest.slice(0, options.digest.indexOf(':')))
    this.#now = options.now ?? (() => performance.now())
    this.#startedAt = this.#now()
    const begun = performance.eventLoopUtilization()
    this.#busyness = options.busyness ?? (() => performance.eventLoopUtilization(begun).utilization)
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
    else if (this.#received < this.size / 2) this.#end('cancelled', new FillEnded('nobody reads it'))
    else this.#cancelLater()
  }

  /** Takes a chunk of upstream, in order. @throws {WrongContent} if there are more than were announced */
  readonly add = (chunk: Buffer, release: () => void): void => {
    if (this.#error !== undefined) throw this.#error
    this.#received += chunk.length
    if (this.#received > this.size) throw new WrongContent('upstream sent more than it announced')
    this.#hash.update(chunk)
    this.#writing = this.#writeAfter(this.#writing, chunk, release)
  }

  /** Upstream has sent all. Resolves when the file is in the store, or is not going to be. */
  async complete(): Promise<void> {
    await this.#writing
    if (this.#error !== undefined) return
    const { digest, publish } = this.#options
    const algorithm = digest.slice(0, digest.indexOf(':'))
    if (this.#received !== this.size || `${algorithm}:${this.#hash.digest('hex')}` !== digest) {
      this.#end('wrong', new WrongContent('the bytes of upstream are not those of the digest'))
      return
    }
    this.#isVerified = true
    this.#wake()
    try {
      await publish()
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

  /** Only time in which a reader had nothing to read counts: a slow reader does not wait for the disk. */
  #countWait(begunAt: number): void {
    if (this.#progress === undefined) return
    const now = this.#now()
    this.#diskWaitMs += now - begunAt
    const isSlow =
      this.#diskWaitMs > maxDiskWaitMs &&
      this.#diskWaitMs > (now - this.#startedAt) * maxDiskShare &&
      this.#busyness() < maxBusyness
    if (isSlow) this.#end('slow', new FillEnded('the disk is slower than upstream'))
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

const endedBy = (error: unknown): FillEnded => new FillEnded('the fill has ended', { cause: error })

/** What an error of the disk means to a fill. */
export const outcomeOf = (error: unknown): FillOutcome => {
  const { name, code = '' } = error as NodeJS.ErrnoException
  if (name === 'DiskTooSlow') return 'slow'
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'unwritable'
}
