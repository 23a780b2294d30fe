/**
 * Maps failures of upstream to statuses for the client: 503, 504 or 429, never 500 (podman gives up on it) or 502 (containerd does).
 */
import type { Digest } from '../oci/digest.ts'
import { RegistryError, timedOut, unavailable, type ErrorCode } from '../oci/errors.ts'

/**
 * Upstream fails for now: it is slow, unavailable, overloaded or broken. A cached answer may be served meanwhile, and the request may be
 * sent again. A refusal (401, 403) or an absence (404) is never one.
 */
export class TransientUpstreamError extends RegistryError {}

/** Upstream, or a connection to it, took too long. The client gets 504. */
export class UpstreamTimeout extends TransientUpstreamError {
  constructor(cause?: unknown) {
    const { code, message, status, headers } = timedOut(
      'the upstream registry is too slow; try again in a moment',
    )
    super(code, message, { status, headers, cause })
  }
}

/** There are more requests than upstream grants, by its own 429 or by the proxy's count. Sending again soon makes it worse. */
export class UpstreamRateLimited extends TransientUpstreamError {
  /** From Retry-After, bounded; undefined if upstream did not send it. Quay does not. */
  readonly retryAfterSeconds: number | undefined

  constructor(message: string, retryAfterSeconds: number | undefined, code: ErrorCode = 'TOOMANYREQUESTS') {
    super(code, message, {
      headers: { 'retry-after': String(retryAfterSeconds ?? defaultRetryAfterSeconds) },
    })
    this.retryAfterSeconds = retryAfterSeconds
  }
}

const defaultRetryAfterSeconds = 5

/** Only the requested object fails. A retry may help. Upstream has answered, so the circuit breaker of upstream does not count it. */
export class TransientObjectError extends TransientUpstreamError {
  constructor(message: string, cause?: unknown) {
    const { code, headers } = unavailable(message, cause)
    super(code, message, { headers, cause })
  }
}

/**
 * Other pulls hold all connections, so the request was not sent, which says nothing about upstream. A new pull is refused; a client
 * that has half of a blob already waits on.
 */
export class PoolExhausted extends RegistryError {
  constructor() {
    super('UNAVAILABLE', 'too many pulls at once; try again in a moment', { headers: { 'retry-after': '1' } })
  }
}

/** Whether a retry may succeed. */
export const isRetryable = (error: unknown): error is TransientUpstreamError | PoolExhausted =>
  error instanceof TransientUpstreamError || error instanceof PoolExhausted

/** Upstream says that it does not have it. */
export const isAbsence = (error: unknown): boolean => error instanceof RegistryError && error.status === 404

export const asTransient = ({
  code,
  message,
  status,
  headers,
  cause,
}: RegistryError): TransientUpstreamError =>
  new TransientUpstreamError(code, message, { status, headers, cause })

const timeoutCodes = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT'])

/** The error for the client after a failed request or body. */
export const toRegistryError = (error: unknown): RegistryError => {
  if (error instanceof RegistryError) return error
  const { code = '', name } = error as { code?: string; name?: string }
  return timeoutCodes.has(code) || name === 'TimeoutError'
    ? new UpstreamTimeout(error)
    : asTransient(unavailable('the upstream registry cannot be reached; try again in a moment', error))
}

/**
 * @param onRefused undefined for the response of another origin than upstream: it never got the robot's credential
 *
 * Attack: if upstream's 401 reached a client, its challenge would send the client, with its cluster token, to upstream's login page.
 * Upstream's 429 comes from nginx as HTML without Retry-After, and its 5xx bodies say nothing useful.
 */
export const errorForStatus = (
  status: number,
  retryAfterField: string | undefined,
  onRefused: ((reason: string) => void) | undefined,
): RegistryError | undefined => {
  if (status !== 401) return transientErrorOf(status, retryAfterField)
  onRefused?.('a request with a fresh robot token was answered 401')
  return unavailable(
    'the upstream registry refuses the proxy; its administrators have been told',
    undefined,
    30,
  )
}

/**
 * The error for a status of the storage that upstream redirects a blob to. The storage knows no robot, only signed URLs that expire after
 * a minute. S3 and CloudFront answer 403 for a missing object, too.
 */
export const errorForStorageStatus = (
  status: number,
  retryAfterField: string | undefined,
): RegistryError | undefined =>
  status === 401 || status === 403
    ? new TransientObjectError(
        'the storage of the upstream registry returned an unexpected status for this blob; try again',
        new Error(`its storage answered ${status}`),
      )
    : transientErrorOf(status, retryAfterField)

const transientErrorOf = (
  status: number,
  retryAfterField: string | undefined,
): TransientUpstreamError | undefined => {
  if (status === 429)
    return new UpstreamRateLimited(
      'the upstream registry limits requests now; try again in a moment',
      secondsOf(retryAfterField),
    )
  if (status >= 500)
    return asTransient(
      unavailable(
        'the upstream registry is failing; try again in a moment',
        new Error(`upstream answered ${status}`),
      ),
    )
  return undefined
}

/**
 * MANIFEST_INVALID: upstream has the manifest, and nobody gets it, because it cannot be parsed. Its bytes are there to be learnt: the layers
 * that it names can be requested by their digests.
 */
export class UnreadableManifest extends RegistryError {
  readonly digest: Digest
  readonly content: Buffer

  constructor(message: string, { digest, content }: { readonly digest: Digest; readonly content: Buffer }) {
    super('MANIFEST_INVALID', message)
    this.digest = digest
    this.content = content
  }
}

/** Seconds of a field Retry-After, bounded: clients wait for a minute at most. Undefined for none, or an unreadable one. */
export const secondsOf = (retryAfterField = ''): number | undefined => {
  if (/^\d+$/.test(retryAfterField)) return Math.min(Number(retryAfterField), longestRetryAfterSeconds)
  if (!httpDate.test(retryAfterField)) return undefined
  const seconds = Math.ceil((Date.parse(retryAfterField) - Date.now()) / 1000)
  return Math.min(Math.max(seconds, 0), longestRetryAfterSeconds)
}

const longestRetryAfterSeconds = 60
/** The form that servers must send. @see https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7 */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** How single-flight shares errors of upstream: a rate limit concerns one requester, every other error concerns all of them. */
export const sharedErrors = {
  isOfRequester: (error: unknown): boolean => error instanceof UpstreamRateLimited,
  callerGone: (reason: unknown) => unavailable('the client did not wait for the answer', reason),
}
