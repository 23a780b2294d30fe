/**
 * The OCI error table and the one writer of `{"errors":[...]}`.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 *
 * `UNAVAILABLE` is not in the spec; distribution registries use it for 503 and every client reads it as "try again".
 * No error carries `detail`: go-containerregistry and oras print it raw ("map[]").
 */
const statusOf = {
  NAME_INVALID: 400,
  TAG_INVALID: 400,
  DIGEST_INVALID: 400,
  MANIFEST_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  NAME_UNKNOWN: 404,
  MANIFEST_UNKNOWN: 404,
  BLOB_UNKNOWN: 404,
  UNSUPPORTED: 405,
  SIZE_INVALID: 416,
  TOOMANYREQUESTS: 429,
  UNAVAILABLE: 503,
} as const

export type ErrorCode = keyof typeof statusOf

export interface RegistryErrorOptions {
  /** HTTP status, where it is not the usual one of the code. */
  readonly status?: number
  /** Response header fields that belong to the answer (`Retry-After`, `Allow`, `WWW-Authenticate`). */
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
  /** What the line of the request holds beside the code, under `refused`: nothing of it goes to the client, nor is a secret. */
  readonly forLog?: Readonly<Record<string, unknown>>
}

/** An answer to the client that is not success: its status, registered code and a message for the person who asked. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError'
  readonly code: ErrorCode
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly forLog: RegistryErrorOptions['forLog']

  constructor(code: ErrorCode, message: string, options: RegistryErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.status = options.status ?? statusOf[code]
    this.headers = options.headers ?? {}
    this.forLog = options.forLog
  }
}

/** Seconds a client is asked to wait when the other side did not say: long enough for a restart, short for a person. */
const defaultRetryAfterSeconds = 5

/** 503: somebody behind the proxy does not answer. Retried by every client that retries at all. */
export const unavailable = (message: string, cause?: unknown, retryAfterSeconds = defaultRetryAfterSeconds) =>
  new RegistryError('UNAVAILABLE', message, { cause, headers: { 'retry-after': String(retryAfterSeconds) } })

/** 504: somebody behind the proxy was too slow. The one 5xx that every retrying client retries. */
export const timedOut = (message: string, cause?: unknown) =>
  new RegistryError('UNAVAILABLE', message, {
    status: 504,
    cause,
    headers: { 'retry-after': String(defaultRetryAfterSeconds) },
  })

/** 404 or 405 for what a pull-only registry does not serve; `allow` lists the methods it would serve there. */
export const unsupported = (status: 404 | 405, message: string, allow = 'GET, HEAD') =>
  new RegistryError('UNSUPPORTED', message, { status, headers: { allow } })

/**
 * The body of an error. A Buffer, since a framework that is handed a JSON string appends `; charset=utf-8` to the
 * content type, and docker and go-containerregistry compare it exactly.
 */
export const errorBody = (error: Pick<RegistryError, 'code' | 'message'>): Buffer =>
  Buffer.from(JSON.stringify({ errors: [{ code: error.code, message: error.message }] }))
