/**
 * Log lines: JSON by pino, redacted twice. No line is given a credential; the redaction is for the one that is written
 * tomorrow by mistake.
 */
import { pino, type DestinationStream, type Logger } from 'pino'

export type { Logger } from 'pino'

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const secretKeys = [
  'authorization',
  'password',
  'token',
  'access_token',
  'cookie',
  'location',
  'auth',
  'headers',
]

export const createLogger = (level: LogLevel, destination?: DestinationStream): Logger => {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[redacted]' },
    serializers: { err: serializeError },
    // The line as a whole: an error that is logged without a text of its own gives its message as `msg`, unserialized.
    hooks: { streamWrite: withoutUrls },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

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
    message: withoutUrls(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.cause === undefined || depth === 3 ? {} : { cause: serializeError(error.cause, depth + 1) }),
  }
}

/**
 * A URL in a text loses its query: a signed URL is a key to its blob, and names the robot. A backslash goes with what it
 * escapes, since the text may be a line of JSON; a quote, escaped or not, ends the URL.
 */
const withoutUrls = (text: string): string =>
  text.replaceAll(/(https?:\/\/[^\s?"'\\]+)\?(?:[^\s"'\\]|\\[^"'])*/g, '$1?[redacted]')
