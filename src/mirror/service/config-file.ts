/**
 * The configuration file. It is read at an interval, because git-sync replaces it. A version that is not well formed is rejected, and the
 * previous one stays in force.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import { ConfigTextError, readConfigText } from '../config/config-text.ts'
import { parseMirrorConfig } from '../config/parse.ts'
import { formatProblem } from '../config/problem.ts'
import { validate } from '../validation/validate.ts'

export interface ConfigFileOptions {
  readonly path: string
  readonly onChange: (config: MirrorConfig) => void
  /** Called once for each rejected version, with a sentence for each problem. */
  readonly onRefused: (problems: readonly string[]) => void
  /** Problems of a version that is in force all the same: a sentence for each. */
  readonly onCaution: (problems: readonly string[]) => void
  /** Milliseconds between two reads. */
  readonly intervalMs?: number
}

/** The file is not well formed. Holds a sentence for each problem. */
export class ConfigFileError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.problems = problems
  }
}

/** Short, because a changed entry should be in QCI within a minute. */
const defaultIntervalMs = 5000

export class ConfigFile {
  readonly #options: ConfigFileOptions
  readonly #timer: NodeJS.Timeout
  /** The texts of the version in force and of the last rejected one. */
  #text: string
  #refused: string | undefined
  #config: MirrorConfig

  /** @throws {ConfigFileError} */
  constructor(options: ConfigFileOptions) {
    this.#options = options
    this.#text = read(options.path)
    this.#config = this.#accept(this.#text)
    this.#timer = setInterval(() => this.reload(), options.intervalMs ?? defaultIntervalMs).unref()
  }

  current(): MirrorConfig {
    return this.#config
  }

  /** Whether the file has the version in force. */
  isCurrent(): boolean {
    return this.#refused === undefined
  }

  close(): void {
    clearInterval(this.#timer)
  }

  reload(): void {
    let text = ''
    try {
      text = read(this.#options.path)
      if (text === this.#text) this.#refused = undefined
      if (text === this.#text || text === this.#refused) return
      this.#config = this.#accept(text)
    } catch (error) {
      const { problems } = error as ConfigFileError
      // For a file that cannot be read: the sentence that says so.
      const refused = text === '' ? problems.join() : text
      if (this.#refused !== refused) this.#options.onRefused(problems)
      this.#refused = refused
      return
    }
    this.#text = text
    this.#refused = undefined
    this.#options.onChange(this.#config)
  }

  #accept(text: string): MirrorConfig {
    const { config, problems } = parseMirrorConfig(text)
    const errors = problems.filter(({ severity }) => severity === 'error')
    if (errors.length > 0)
      throw new ConfigFileError(errors.map((error) => formatProblem(this.#options.path, error)))
    const cautions = validate(text).problems
    if (cautions.length > 0)
      this.#options.onCaution(cautions.map((caution) => formatProblem(this.#options.path, caution)))
    return config
  }
}

const read = (path: string): string => {
  try {
    return readConfigText(path)
  } catch (error) {
    if (error instanceof ConfigTextError) throw new ConfigFileError([formatProblem(path, error.problem)])
    throw new ConfigFileError([`${path} cannot be read: ${(error as Error).message}`])
  }
}
