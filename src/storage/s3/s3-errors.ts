/**
 * The errors of S3. A pull never fails because of them, because upstream has the bytes as well.
 */

/** S3 did not answer in time, cannot be reached, or fails (5xx, 429). The circuit breaker counts it. */
export class S3Unavailable extends Error {
  override readonly name = 'S3Unavailable'
}

/** The circuit is open, so the request was not sent. */
export class S3CircuitOpen extends Error {
  override readonly name = 'S3CircuitOpen'
}

/** S3 refuses the request. A bucket whose policy lacks `s3:ListBucket` answers so for an object that it does not have, too. */
export class S3Refused extends Error {
  override readonly name = 'S3Refused'
}

/** Whether a status says that S3 itself fails, and not only this request. */
export const isFailing = (status: number): boolean => status === 429 || status >= 500

/**
 * For the log: the name that S3 gives the error, and the status. Never its message or fields. Attack: the answer to a wrong signature
 * holds the key's id, and the text that was signed.
 */
export const describeS3Error = (error: unknown): string => {
  const { name, code, cause, $metadata } = error as SdkError
  const status = $metadata?.httpStatusCode
  const inner = cause === undefined ? undefined : describeS3Error(cause)
  return [name, code, status, inner].filter((part) => part !== undefined && part !== '').join(' ')
}

interface SdkError {
  readonly name?: string
  readonly code?: string
  readonly cause?: unknown
  readonly $metadata?: { readonly httpStatusCode?: number }
}

/** The status of an answer that the SDK throws; undefined if there was no answer. */
export const statusOf = (error: unknown): number | undefined => (error as SdkError).$metadata?.httpStatusCode
