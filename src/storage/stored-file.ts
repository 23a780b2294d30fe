/**
 * An entry that is open for reading. In each run of the program, the first reader of the whole entry compares its bytes with the digest
 * while it reads. It gets the last chunk only if all bytes are right, so that nobody gets a whole entry that a crash or a bad disk has
 * damaged.
 */
import { createHash, type Hash } from 'node:crypto'
import { isOfFile, type Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'
import { WrongContent } from './fill-outcome.ts'
import { algorithmOf, nothingHashed, type HashedPrefix } from './marked-hash.ts'
import type { ByteSource } from './pipe-bytes.ts'

/** Why an entry is dropped. */
export type CorruptEntry = 'size' | 'digest' | 'unreadable'

export interface StoredFileOptions {
  readonly digest: string
  /** Bytes. */
  readonly size: number
  readonly fd: number
  readonly requester: string
  readonly disk: Pick<Disk, 'read' | 'timesOf' | 'close'>
  readonly queue: DiskQueue
  readonly isVerified: boolean
  /** Whether nobody has changed the file since it was opened. @param mtimeMs of the file now */
  readonly isUnchanged: (mtimeMs: number) => boolean
  readonly onVerified: () => void
  readonly onWrong: (why: CorruptEntry) => void
}

const chunkBytes = 256 * 1024

export class StoredFile implements ByteSource {
  readonly size: number
  /** Whether this run of the program has compared all bytes with the digest before the file was opened. */
  readonly isVerified: boolean
  readonly #options: StoredFileOptions
  /** The running hash, while the bytes are read in order from the beginning. */
  #hash: Hash | undefined
  #hashed = 0
  #closing: Promise<void> | undefined

  constructor(options: StoredFileOptions) {
    const { digest, size, isVerified } = options
    this.#options = options
    this.size = size
    this.isVerified = isVerified
    if (!isVerified) this.#hash = createHash(algorithmOf(digest))
  }

  /** @throws {WrongContent} instead of the last bytes, if the bytes do not match the digest, or may not match it any more */
  async read(into: Buffer, position: number): Promise<number> {
    const { disk, queue, requester, fd, onWrong } = this.#options
    let count: number
    try {
      count = await queue.run(requester, async () => {
        const read = await disk.read(fd, into, position)
        if (this.isVerified && position + read === this.size) await this.#checkUnchanged()
        return read
      })
    } catch (error) {
      if (isOfFile(error) && !(error instanceof WrongContent)) onWrong('unreadable')
      throw error
    }
    if (count === 0) {
      onWrong('size')
      throw new Error('the file is shorter than its name says')
    }
    if (this.#hash !== undefined) this.#verify(this.#hash, into.subarray(0, count), position)
    return count
  }

  /**
   * For a reader that has the bytes before `position`, and reads the rest from another source. Bytes that were not hashed yet are read once
   * more. If the disk cannot read them, the whole blob has to be fetched.
   */
  async prefix(position: number): Promise<HashedPrefix> {
    const { digest } = this.#options
    if (this.#hash !== undefined && this.#hashed === position)
      return { at: position, hash: this.#hash.copy() }
    return await this.#hashedAgain(position).catch(() => nothingHashed(digest))
  }

  /** A second call closes nothing: another file could have got the same descriptor. */
  async close(): Promise<void> {
    const { disk, fd } = this.#options
    this.#closing ??= disk.close(fd).catch(() => undefined)
    await this.#closing
  }

  async #hashedAgain(position: number): Promise<HashedPrefix> {
    const { disk, queue, requester, fd, digest } = this.#options
    const hash = createHash(algorithmOf(digest))
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, position))
    for (let at = 0; at < position;) {
      const wanted = buffer.subarray(0, position - at)
      const from = at
      const count = await queue.run(requester, async () => await disk.read(fd, wanted, from))
      if (count === 0) throw new Error('the file has become shorter')
      hash.update(wanted.subarray(0, count))
      at += count
    }
    return { at: position, hash }
  }

  /** Attack: the bytes were compared before the file was opened, and somebody writes others into it while it is read. */
  async #checkUnchanged(): Promise<void> {
    const { disk, fd, isUnchanged } = this.#options
    // The entry stays: the next reader compares it with its digest.
    if (!isUnchanged((await disk.timesOf(fd)).mtimeMs))
      throw new WrongContent('the file was changed while it was read')
  }

  #verify(hash: Hash, bytes: Buffer, position: number): void {
    if (position !== this.#hashed) {
      this.#hash = undefined
      return
    }
    hash.update(bytes)
    this.#hashed += bytes.length
    if (this.#hashed < this.size) return
    this.#hash = undefined
    const { digest, onVerified, onWrong } = this.#options
    if (digest.endsWith(`:${hash.digest('hex')}`)) onVerified()
    else {
      onWrong('digest')
      throw new WrongContent('the stored bytes are not those of the digest')
    }
  }
}
