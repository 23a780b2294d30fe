/**
 * Log lines: JSON by pino, redacted twice, and of bounded length. No code logs a credential; the redaction is for a future mistake.
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
/** One of them as a key of JSON, at any depth. Within a string, the quotes would be escaped. */
const secretKey = new RegExp(`"(?:${[...secretKeys].join('|')})":`)

export const createLogger = (level: LogLevel, destination?: DestinationStream): Logger => {
  const options = {
    level,
    base: null,
    timestamp: createTimestamp(),
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serializeError },
    // Applied to the whole line, so that every path into it is covered: any depth, bindings of a child logger, and the message of an error,
    // which pino writes as `msg` without its serializer if the error is logged without a text.
    hooks: { streamWrite: (line: string) => withinBounds(withoutQueries(withoutSecrets(line))) },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** Characters: fifty lines in one write, and half of the 64 KiB that a pipe holds. */
const writtenAt = 32_768
/** Milliseconds: short enough to follow the log. */
const flushIntervalMs = 100

export interface Output extends DestinationStream {
  /** Writes the buffered lines. To be called when the process exits for any reason; pino calls it after a fatal line. */
  readonly flushSync: () => void
}

/**
 * Standard output with a buffer of about fifty lines, at a tenth of the cost of pino's own `minLength` and `periodicFlush`. Each write is
 * synchronous: a log that nobody reads blocks the proxy instead of growing in its memory, lines keep their order, and no write is in
 * progress when the process exits.
 */
export const createOutput = (fd = 1): Output => {
  const output = pino.destination({ dest: fd, sync: true })
  let buffer = ''
  const flushSync = () => {
    const lines = buffer
    buffer = ''
    if (lines !== '') output.write(lines)
  }
  setInterval(flushSync, flushIntervalMs).unref()
  return {
    flushSync,
    write: (line) => {
      buffer += line
      if (buffer.length >= writtenAt) flushSync()
    },
  }
}

/** The `isoTime` of pino, computed once per millisecond: it is a tenth of the cost of a line, and many lines share a time. */
const createTimestamp = () => {
  let [time, written] = [NaN, '']
  return (): string => {
    const now = Date.now()
    if (now !== time) [time, written] = [now, pino.stdTimeFunctions.isoTime()]
    return written
  }
}

/** Nearly no line has such a key, and one search of the line costs a tenth of a check of each object for each key. */
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
 * The name, code and message of an error and of its causes. Not the error itself: errors of HTTP clients have requests, and requests have
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
