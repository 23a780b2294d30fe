/**
 * Errors in event listeners, where no caller is left to receive them: uncaught, they would end the process, and every pull with it.
 */
import type { Logger } from './logging.ts'

export interface UnexpectedErrors {
  /** Logs each kind once, because what is thrown for one request is thrown for the next one too. */
  readonly report: (where: string, error: unknown) => void
}

export const createUnexpectedErrors = (logger: Pick<Logger, 'error'>): UnexpectedErrors => {
  const reported = new Set<string>()
  return {
    report: (where, error) => {
      const { name, stack } =
        error instanceof Error ? error : new TypeError('a value that is no Error was thrown')
      const kind = `${where}: ${name}`
      if (reported.has(kind)) return
      reported.add(kind)
      logger.error({ err: error, stack, where }, 'unexpected error; others of its kind are not logged')
    },
  }
}
