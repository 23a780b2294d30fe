/**
 * Mistakes of ours where nobody is left to be told: in listeners, whose exceptions end the process.
 */
import type { Logger } from '../telemetry/logging.ts'

export interface Mistakes {
  /** Logs each kind once: what is thrown for one request is thrown for the next one too. */
  readonly tell: (where: string, error: unknown) => void
}

export const createMistakes = (logger: Pick<Logger, 'error'>): Mistakes => {
  const told = new Set<string>()
  return {
    tell: (where, error) => {
      const { name, stack } = error instanceof Error ? error : new TypeError('what was thrown is no error')
      const kind = `${where}: ${name}`
      if (told.has(kind)) return
      told.add(kind)
      logger.error({ err: error, stack, where }, 'unexpected error; others of its kind are not logged')
    },
  }
}
