/**
 * A small map that is kept over a restart. Each change is a line that is appended to a file once a second, so a killed process loses the
 * last second. A line that was cut is skipped. The whole file is written again when most of its lines are outdated, and when the file may
 * lack a change: otherwise a tag whose removal was not written would be back after a restart.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { appendFile, rename, writeFile } from 'node:fs/promises'
import { createBoundedCache, type BoundedCache } from '../concurrency/bounded-cache.ts'
import { steadyWallClock } from '../concurrency/clock.ts'
import type { DiskQueue } from './disk-queue.ts'

export interface JournalEntry {
  readonly value: string
  /** Milliseconds since 1970. */
  readonly time: number
}

export interface KeyJournalOptions {
  readonly path: string
  /** Errors of flushes, which no caller waits for. */
  readonly queue: DiskQueue
  /** The bound on keys. The least recently used key is evicted first. */
  readonly maxKeys?: number
  /** An unchanged value is written again after this many milliseconds, to renew its time. */
  readonly confirmEveryMs?: number
  readonly onWarning: (message: string) => void
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number
}

const defaultMaxKeys = 20_000
const defaultConfirmEveryMs = 60_000
const flushEveryMs = 1000
/** A larger file is not read at the start. In use, the file is written again long before it has so many bytes. */
const maxFileBytes = 64 * 1024 * 1024

export class KeyJournal {
  readonly #options: KeyJournalOptions
  readonly #entries: BoundedCache<string, JournalEntry>
  #lines: string[] = []
  /** Lines in the file. */
  #written = 0
  /** The file cannot be continued: it was not read, ends in the middle of a line, or lacks changes. */
  #isBroken = false
  /** A write has failed. */
  #hasLostLines = false
  #writing: Promise<void> | undefined
  readonly #timer: NodeJS.Timeout

  constructor(options: KeyJournalOptions) {
    this.#options = options
    this.#entries = createBoundedCache<string, JournalEntry>(options.maxKeys ?? defaultMaxKeys)
    this.#read()
    this.#timer = setInterval(() => void this.flush(), flushEveryMs).unref()
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): JournalEntry | undefined {
    return this.#entries.get(key)
  }

  /** The keys that begin with this, with their entries. */
  startingWith(prefix: string): readonly (readonly [string, JournalEntry])[] {
    return [...this.#entries.entries()].filter(([key]) => key.startsWith(prefix))
  }

  set(key: string, value: string): void {
    const { confirmEveryMs = defaultConfirmEveryMs } = this.#options
    const time = this.#now()
    const before = this.#entries.get(key)
    if (before?.value === value && Math.abs(time - before.time) < confirmEveryMs) return
    this.#entries.set(key, { value, time })
    this.#lines.push(lineOf([key, value, time]))
  }

  delete(key: string): void {
    if (this.#entries.delete(key)) this.#lines.push(lineOf([key]))
  }

  /** Resolves when all changes so far are in the file. Never rejects. */
  async flush(): Promise<void> {
    await this.#writing
    if (this.#lines.length === 0) return
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    await this.#writing
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
    if (this.#hasLostLines) await this.#write()
  }

  #now(): number {
    return (this.#options.wallClock ?? steadyWallClock)()
  }

  #read(): void {
    try {
      const text = readFileSync(this.#options.path, 'utf8')
      if (text.length > maxFileBytes) throw new Error('it is too large')
      const lines = text.split('\n')
      this.#written = lines.length
      this.#isBroken = lines.at(-1) !== ''
      for (const line of lines) this.#apply(line)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return
      this.#isBroken = true
      this.#options.onWarning(`${this.#options.path} is not used (${code ?? message}); it is written anew`)
    }
  }

  #apply(line: string): void {
    const fields = fieldsOf(line)
    if (fields === undefined) return
    const [key, value, time] = fields
    const now = this.#now()
    // If the clock was set back meanwhile, a time in the future counts as now. It is written again, so that it ages over the next restart.
    if (time > now) this.#isBroken = true
    if (value === undefined) this.#entries.delete(key)
    else this.#entries.set(key, { value, time: Math.min(time, now) })
  }

  async #write(): Promise<void> {
    const { path, queue, onWarning } = this.#options
    const lines = this.#lines.splice(0)
    this.#written += lines.length
    const isOutOfDate = this.#isBroken || this.#written > 2 * this.#entries.size + 1000
    try {
      await queue.run(path, async () =>
        isOutOfDate ? await this.#rewrite() : await appendFile(path, lines.join(''), { mode: 0o600 }),
      )
      this.#isBroken = false
      this.#hasLostLines = false
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      this.#isBroken = true
      this.#hasLostLines = true
      onWarning(`${path} cannot be written (${code ?? message}); tags are lost at a restart`)
    }
  }

  async #rewrite(): Promise<void> {
    const { path } = this.#options
    // Begins with the least recently used key, so that the next start reads the keys in the order of their use.
    const lines = [...this.#entries.rkeys()].map((key) => {
      const { value, time } = this.#entries.peek(key) as JournalEntry
      return lineOf([key, value, time])
    })
    this.#written = lines.length
    // Synced: after a crash of the machine the new name could otherwise be an empty file.
    await writeFile(`${path}.new`, lines.join(''), { mode: 0o600, flush: true })
    await rename(`${path}.new`, path)
  }
}

/** Each line begins with its checksum, so that a line that was cut or overwritten is not read. */
const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

const lineOf = (fields: readonly (string | number)[]): string => {
  const text = JSON.stringify(fields)
  return `${sumOf(text)} ${text}\n`
}

const fieldsOf = (line: string): readonly [string, string | undefined, number] | undefined => {
  const text = line.slice(17)
  if (line.length < 20 || line.slice(0, 16) !== sumOf(text)) return undefined
  const [key, value, time] = JSON.parse(text) as [string, string?, number?]
  return [key, value, time ?? 0]
}
