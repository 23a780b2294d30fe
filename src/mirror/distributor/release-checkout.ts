/**
 * Reads a checkout of openshift/release, which git-sync replaces every few minutes. It is read again when it changes. Only files with other
 * bytes than before are parsed again.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readFileInputs, type FileInputs } from './ci-operator-inputs.ts'
import { testInputs, type TestInputs } from './test-inputs.ts'

export interface CheckoutReading {
  readonly inputs: TestInputs
  /** Files that were read. */
  readonly files: number
  /** Files that could not be read: a sentence for each, without its full stop. */
  readonly problems: readonly string[]
}

/** Attack: a pull request with a million files, or with a file of gigabytes. */
const defaultBounds = { files: 100_000, fileBytes: 1024 * 1024, allBytes: 1024 * 1024 * 1024 }

export class ReleaseCheckout {
  readonly #directory: string
  readonly #bounds: typeof defaultBounds
  /** Parsed files, by the hash of their bytes. */
  #parsed: ReadonlyMap<string, string> = new Map()
  /** The directory of the last reading, even of one that failed. */
  #root: string | undefined

  constructor(directory: string, bounds: Partial<typeof defaultBounds> = {}) {
    this.#directory = directory
    this.#bounds = { ...defaultBounds, ...bounds }
  }

  /** Whether git-sync has put another checkout there since the last reading, or the last try. */
  async isReplaced(): Promise<boolean> {
    return (await realpath(this.#directory).catch(() => this.#root)) !== this.#root
  }

  /** @throws {Error} if the checkout does not exist or exceeds the bounds. The result of the last reading stays in use. */
  async read(signal: AbortSignal): Promise<CheckoutReading> {
    // git-sync may swap the link in the middle.
    this.#root = undefined
    const root = await realpath(this.#directory)
    this.#root = root
    const files = await this.#filesIn(root)
    const parsed = new Map<string, string>()
    const problems: string[] = []
    let bytes = 0
    for (const file of files) {
      signal.throwIfAborted()
      const path = join(root, file)
      const { size } = await stat(path)
      bytes += size
      if (bytes > this.#bounds.allBytes)
        throw new Error(`${this.#directory} has more than ${this.#bounds.allBytes} bytes`)
      if (size > this.#bounds.fileBytes)
        problems.push(`${file} has more than ${this.#bounds.fileBytes} bytes`)
      else this.#parse(file, await readFile(path), { parsed, problems })
    }
    this.#parsed = parsed
    const inputs = testInputs(parsed.values().map((text) => JSON.parse(text) as FileInputs))
    return { inputs, files: files.length, problems }
  }

  async #filesIn(root: string): Promise<readonly string[]> {
    const found: string[] = []
    for (const folder of ['ci-operator/config', 'ci-operator/step-registry'])
      // Links are ignored, because they may lead to any file.
      for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true }))
        if (entry.isFile() && /\.ya?ml$/.test(entry.name))
          found.push(join(entry.parentPath, entry.name).slice(root.length + 1))
    if (found.length > this.#bounds.files)
      throw new Error(`${this.#directory} has more than ${this.#bounds.files} files`)
    return found
  }

  /** Copied by JSON, because a slice of the text would keep the whole text in memory. */
  #parse(file: string, content: Buffer, { parsed, problems }: Read): void {
    const key = createHash('sha256').update(content).digest('base64')
    try {
      parsed.set(key, this.#parsed.get(key) ?? JSON.stringify(readFileInputs(content.toString())))
    } catch (error) {
      problems.push(`${file} is not YAML: ${(error as Error).message}`)
    }
  }
}

interface Read {
  readonly parsed: Map<string, string>
  readonly problems: string[]
}
