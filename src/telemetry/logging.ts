/**
 * Log lines: JSON by pino, redacted twice, and of bounded length. No line is given a credential; the redaction is for the one that is written
 * tomorrow by mistake.
 */
import { pino, type DestinationStream, type Logger } from 'pino'
import { withinBounds, withoutQueries } from './redaction.ts'

export type { Logger } from 'pino'

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const secretKeys = new Set([
  'authorization',
  'password',
  'token',
  'access_token',
  'cookie',
  'location',
  'auth',
  'headers',
])
/** One of them as a key of JSON, at any depth. Within a string its quotes would be escaped. */
const secretKey = new RegExp(`"(?:${[...secretKeys].join('|')})":`)

export const createLogger = (level: LogLevel, destination?: DestinationStream): Logger => {
  const options = {
    level,
    base: null,
    timestamp: createTimestamp(),
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serializeError },
    // The line as a whole: so it does not matter how something came into it, at which depth, by a child of the logger, or as the
    // message of an error, which is given as `msg` unserialized where it is logged without a text of its own.
    hooks: { streamWrite: (line: string) => withinBounds(withoutQueries(withoutSecrets(line))) },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** Characters: fifty lines in one write, and half of the 64 KiB that a pipe holds. */
const writtenAt = 32_768
/** Milliseconds: whoever follows the log sees a line as good as at once. */
const flushIntervalMs = 100

export interface Output extends DestinationStream {
  /** Writes out what is held. To be called when the process exits, for whatever reason; pino calls it after a fatal line. */
  readonly flushSync: () => void
}

/**
 * Standard output, written to fifty lines at a time where they come fast: a tenth of what pino's own `minLength` and `periodicFlush`
 * cost a line. Each write is synchronous: a log that nobody reads holds
 * the proxy up rather than growing in its memory, lines keep their order, and no write is under way when the process exits.
 */
export const createOutput = (fd = 1): Output => {
  const output = pino.destination({ dest: fd, sync: true })
  let held = ''
  const flushSync = () => {
    const lines = held
    held = ''
    if (lines !== '') output.write(lines)
  }
  setInterval(flushSync, flushIntervalMs).unref()
  return {
    flushSync,
    write: (line) => {
      held += line
      if (held.length >= writtenAt) flushSync()
    },
  }
}

/** pino's own `isoTime`, once per millisecond: thousands of lines a second share a time, and that is a tenth of what a line costs. */
const createTimestamp = () => {
  let [time, written] = [NaN, '']
  return (): string => {
    const now = Date.now()
    if (now !== time) [time, written] = [now, pino.stdTimeFunctions.isoTime()]
    return written
  }
}

/** Nearly no line holds such a key: one look over it costs a tenth of asking each of its objects for each of the keys. */
const withoutSecrets = (line: string): string =>
  secretKey.test(line)
    ? `${JSON.stringify(JSON.parse(line, (key, value: unknown) => (secretKeys.has(key) ? '[redacted]' : value)))}\n`
    : line

export interface SerializedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly cause?: SerializedError
}

/**
 * Name, code and message down the causes. Not the object itself: errors of HTTP clients carry requests, and requests carry
 * credentials and signed URLs.
 */
export const serializeError = (error: unknown, depth = 0): SerializedError => {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an error' }
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    message: withoutQueries(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.cause === undefined || depth === 3 ? {} : { cause: serializeError(error.cause, depth + 1) }),
  }
}
