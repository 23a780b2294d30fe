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
  /** HTTP status, if it is not the usual one of the code. */
  readonly status?: number
  /** Header fields of the response (`Retry-After`, `Allow`, `WWW-Authenticate`). */
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
  /** Added to the code under `refused` in the access log. The client does not get it, and it holds no secret. */
  readonly forLog?: Readonly<Record<string, unknown>>
}

/** An error for the client: its status, its registered code, and a message for the person that pulls. */
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

/** Seconds of Retry-After if the server behind the proxy sent none: enough for a restart, and short for a person. */
const defaultRetryAfterSeconds = 5

/** 503: a server behind the proxy does not answer. Every client that retries at all retries this. */
export const unavailable = (message: string, cause?: unknown, retryAfterSeconds = defaultRetryAfterSeconds) =>
  new RegistryError('UNAVAILABLE', message, { cause, headers: { 'retry-after': String(retryAfterSeconds) } })

/** 504: a server behind the proxy was too slow. Every client that retries at all retries this. */
export const timedOut = (message: string, cause?: unknown) =>
  new RegistryError('UNAVAILABLE', message, {
    status: 504,
    cause,
    headers: { 'retry-after': String(defaultRetryAfterSeconds) },
  })

/** 404 or 405 for requests that a pull-only registry does not serve. `allow` lists the methods that it serves there. */
export const unsupported = (status: 404 | 405, message: string, allow = 'GET, HEAD') =>
  new RegistryError('UNSUPPORTED', message, { status, headers: { allow } })

/**
 * The body of an error. It is a Buffer: for a string, the framework appends `; charset=utf-8` to the content type, which docker and
 * go-containerregistry compare exactly.
 */
export const errorBody = (error: Pick<RegistryError, 'code' | 'message'>): Buffer =>
  Buffer.from(JSON.stringify({ errors: [{ code: error.code, message: error.message }] }))
