/**
 * Tells a running proxy what an operator has removed from its cache directory. `quay-proxy cache rm` writes a file into the folder
 * `removals`. The proxy checks the folder once a second, forgets the content that the file names, and answers with a second file. The two
 * processes share nothing but the directory.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Purged } from './s3/purge.ts'

export interface Removal {
  /** Digests of blobs and manifests. */
  readonly digests: readonly string[]
  /** As upstream has them. */
  readonly tags: readonly string[]
}

export interface RemovalReport {
  /** Numbers of S3 objects; undefined without S3. */
  readonly s3: Purged | undefined
}

export interface RemovalInboxOptions {
  /** The directory of the cache. */
  readonly root: string
  /** Forgets it. Must not reject. */
  readonly remove: (removal: Removal) => Promise<RemovalReport>
  /** For the log. */
  readonly warning: (message: string) => void
}

const folderOf = (root: string): string => join(root, 'removals')
/** Milliseconds between two checks of the folder. */
const lookEveryMs = 1000
/** Bytes: the digests of an image with a hundred layers are 10 kB. */
const maxRequestBytes = 1024 * 1024
const requestSuffix = '.json'
const reportSuffix = '.done'

/** The side of the proxy. */
export class RemovalInbox {
  readonly #options: RemovalInboxOptions
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(options: RemovalInboxOptions) {
    this.#options = options
  }

  /**
   * Requests that an earlier run of the program has not answered are dropped, because the command has removed the files and the tags
   * itself. Never rejects.
   */
  async start(): Promise<void> {
    await rm(folderOf(this.#options.root), { recursive: true, force: true }).catch(() => undefined)
    this.#timer = setInterval(() => void this.look(), lookEveryMs).unref()
  }

  /** Answers all waiting requests. Never rejects. */
  async look(): Promise<void> {
    this.#looking = this.#lookAfter(this.#looking)
    await this.#looking
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  async #lookAfter(earlier: Promise<void>): Promise<void> {
    await earlier
    for (const name of await namesIn(folderOf(this.#options.root)))
      if (name.endsWith(requestSuffix)) await this.#answer(name.slice(0, -requestSuffix.length))
  }

  async #answer(id: string): Promise<void> {
    const { root, remove, warning } = this.#options
    const path = join(folderOf(root), id)
    try {
      const removal = await readRemoval(`${path}${requestSuffix}`)
      await writeWhole(`${path}${reportSuffix}`, await remove(removal))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      warning(`a removal from the cache is not done (${code ?? message})`)
    }
    await rm(`${path}${requestSuffix}`, { force: true }).catch(() => undefined)
  }
}

/**
 * The side of the command.
 * @param maxWaitMs milliseconds
 * @returns undefined if no proxy answers in time
 */
export const requestRemoval = async (
  root: string,
  removal: Removal,
  maxWaitMs: number,
): Promise<RemovalReport | undefined> => {
  const path = join(folderOf(root), randomUUID())
  const until = performance.now() + maxWaitMs
  await mkdir(folderOf(root), { recursive: true, mode: 0o700 })
  await writeWhole(`${path}${requestSuffix}`, removal)
  for (;;) {
    const report = await readFile(`${path}${reportSuffix}`, 'utf8').catch(() => undefined)
    const isLate = performance.now() >= until
    if (report === undefined && !isLate) {
      await sleep(20)
      continue
    }
    for (const suffix of [requestSuffix, reportSuffix]) await rm(`${path}${suffix}`, { force: true })
    return report === undefined ? undefined : (JSON.parse(report) as RemovalReport)
  }
}

const namesIn = async (folder: string): Promise<readonly string[]> => await readdir(folder).catch(() => [])

/** Written so that the reader never sees half of the file. */
const writeWhole = async (path: string, content: unknown): Promise<void> => {
  await writeFile(`${path}.new`, JSON.stringify(content), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** @throws {Error} for a file that the command cannot have written */
const readRemoval = async (path: string): Promise<Removal> => {
  if ((await stat(path)).size > maxRequestBytes) throw new Error('it is too large')
  const { digests, tags } = JSON.parse(await readFile(path, 'utf8')) as Partial<Removal>
  if (!isTexts(digests) || !isTexts(tags)) throw new Error('it names no digests and tags')
  return { digests, tags }
}

const isTexts = (list: unknown): list is readonly string[] =>
  Array.isArray(list) && list.every((text) => typeof text === 'string')
