/**
 * What upstream's troubles mean to a client: 503, 504 or 429, never 500 (podman gives up on it) or 502 (containerd does).
 */
import { RegistryError, timedOut, unavailable, type ErrorCode } from '../oci/errors.ts'

/**
 * Upstream has a bad moment: it is slow, away, overloaded or broken. What is known already may be served meanwhile, and what is not
 * may be tried again; a refusal or an absence never is one.
 */
export class TransientUpstreamError extends RegistryError {}

/**
 * More is asked for than upstream grants: by its own 429, or by our count of what it grants. Asking again soon makes it worse.
 */
export class UpstreamRateLimited extends TransientUpstreamError {
  /** As upstream says it, within reason; undefined where it does not, as quay. */
  readonly retryAfterSeconds: number | undefined

  constructor(message: string, retryAfterSeconds: number | undefined, code: ErrorCode = 'TOOMANYREQUESTS') {
    super(code, message, {
      headers: { 'retry-after': String(retryAfterSeconds ?? defaultRetryAfterSeconds) },
    })
    this.retryAfterSeconds = retryAfterSeconds
  }
}

const defaultRetryAfterSeconds = 5

/** About the one thing that was asked for. Trying again may help; it says nothing about upstream, which has answered. */
export class TransientObjectError extends TransientUpstreamError {
  constructor(message: string, cause?: unknown) {
    const { code, headers } = unavailable(message, cause)
    super(code, message, { headers, cause })
  }
}

/**
 * Other pulls hold all connections: nothing was asked, which says nothing about upstream. Who begins is sent away; who has got half
 * of a blob already waits on.
 */
export class PoolExhausted extends RegistryError {
  constructor() {
    super('UNAVAILABLE', 'too many pulls at once; try again in a moment', { headers: { 'retry-after': '1' } })
  }
}

/** Whether the same may well be answered at another try. */
export const isRetryable = (error: unknown): error is TransientUpstreamError | PoolExhausted =>
  error instanceof TransientUpstreamError || error instanceof PoolExhausted

export const asTransient = ({
  code,
  message,
  status,
  headers,
  cause,
}: RegistryError): TransientUpstreamError =>
  new TransientUpstreamError(code, message, { status, headers, cause })

const timeoutCodes = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT'])

/** A request or a body that broke: what it means to the client. */
export const toRegistryError = (error: unknown): RegistryError => {
  if (error instanceof RegistryError) return error
  const { code = '', name } = error as { code?: string; name?: string }
  return asTransient(
    timeoutCodes.has(code) || name === 'TimeoutError'
      ? timedOut('the upstream registry is too slow; try again in a moment', error)
      : unavailable('the upstream registry cannot be reached; try again in a moment', error),
  )
}

/**
 * @param onRefused undefined for an answer of another origin than upstream, which never saw the robot
 *
 * Attack: upstream's 401 must not reach a client: its challenge would send the client, with the cluster token it holds, to
 * upstream's login page. Its 429 comes from nginx as HTML without Retry-After; its 5xx bodies say nothing a person can use.
 */
export const errorForStatus = (
  status: number,
  retryAfterField: string | undefined,
  onRefused: ((reason: string) => void) | undefined,
): RegistryError | undefined => {
  if (status !== 401) return troubleOf(status, retryAfterField)
  onRefused?.('a request with a fresh robot token was answered 401')
  return unavailable(
    'the upstream registry refuses the proxy; its administrators have been told',
    undefined,
    30,
  )
}

/**
 * Of the storage that upstream redirects a blob to: it knows no robot, only signed URLs that end after a minute. S3 and CloudFront answer
 * 403 also of an object that is gone.
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
    : troubleOf(status, retryAfterField)

const troubleOf = (
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

/** Retry-After, as upstream says it within reason; clients cap their wait at a minute. */
export const secondsOf = (retryAfterField = ''): number | undefined => {
  if (/^\d+$/.test(retryAfterField)) return Math.min(Number(retryAfterField), longestRetryAfterSeconds)
  if (!httpDate.test(retryAfterField)) return undefined
  const seconds = Math.ceil((Date.parse(retryAfterField) - Date.now()) / 1000)
  return Math.min(Math.max(seconds, 0), longestRetryAfterSeconds)
}

const longestRetryAfterSeconds = 60
/** https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7, the form that is sent */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** What single-flight does with errors of upstream: a rate limit is the requester's own, all other errors are everybody's. */
export const sharedErrors = {
  isOfRequester: (error: unknown): boolean => error instanceof UpstreamRateLimited,
  callerGone: (reason: unknown) => unavailable('the client did not wait for the answer', reason),
}
