/**
 * The state directory of one process: facts and the state of the walk are read once at the start, and written at intervals and at the end.
 * A file that cannot be used causes a warning: then the replica starts without facts, and the walk starts from the beginning.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fact } from '../digests/facts.ts'
import type { IndexState } from '../digests/restricted-index/index-state.ts'
import { lockDirectory, type DirectoryLock } from '../storage/directory-lock.ts'
import { readStateFile, writeStateFile, type StoredState } from './state-file.ts'

export interface StateDirectoryOptions {
  readonly directory: string
  readonly snapshot: () => Iterable<Fact>
  /** The current state of the walk. It is read before the facts, so that there are no fewer facts than it claims. */
  readonly index: () => Promise<IndexState | undefined>
  readonly onWarning: (message: string) => void
  readonly wallClock: () => number
  /** Milliseconds between two writes. A crash loses the facts of this time, and the walk continues from the last write. */
  readonly everyMs?: number
}

export class StateDirectory {
  readonly #options: StateDirectoryOptions
  readonly #path: string
  #lock: DirectoryLock | undefined
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined

  constructor(options: StateDirectoryOptions) {
    this.#options = options
    this.#path = join(options.directory, 'state')
  }

  /** @throws {Error} if the directory is in use, or not writable */
  async open(): Promise<StoredState | undefined> {
    const { directory, onWarning, everyMs = 60_000 } = this.#options
    await mkdir(directory, { recursive: true, mode: 0o700 }).catch(() => undefined)
    this.#lock = lockDirectory({ directory, flag: '--state-dir' })
    this.#timer = setInterval(() => void this.write(), everyMs).unref()
    try {
      return await readStateFile(this.#path)
    } catch (error) {
      onWarning(
        `${this.#path} is not used: ${(error as Error).message}; its facts are collected again, and the file is replaced`,
      )
      return undefined
    }
  }

  /** Never rejects. */
  async write(): Promise<void> {
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    await this.#writing
  }

  async close(): Promise<void> {
    if (this.#lock === undefined) return
    clearInterval(this.#timer)
    await this.#writing
    await this.write()
    this.#lock.release()
    this.#lock = undefined
  }

  async #write(): Promise<void> {
    const { snapshot, index, onWarning, wallClock } = this.#options
    try {
      const state = await index()
      await writeStateFile(this.#path, { index: state, facts: snapshot() }, wallClock())
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      onWarning(`${this.#path} cannot be written (${code ?? message}); its facts are lost at a restart`)
    }
  }
}
