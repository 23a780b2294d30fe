/**
 * Errors as pages, for browsers.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError, type ErrorCode } from '../oci/errors.ts'
import type { PaceRefusal } from './access-endpoint.ts'
import type { Failure } from './frame.ts'

/**
 * Sets the status and the header fields of a failure.
 * @returns its heading and sentence, for the page. @throws the error, if it is a bug of the proxy
 */
export const beginFailure = async (
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  paceRefusal: PaceRefusal,
): Promise<Failure> => {
  const failure = shownFailure(error as FastifyError)
  if (failure === undefined) throw error
  request.failure = failure
  await paceRefusal(request, failure.status)
  if (request.body === undefined && request.method === 'POST') void reply.header('connection', 'close')
  const retryAfter = failure.headers['retry-after']
  if (retryAfter !== undefined) void reply.header('retry-after', retryAfter)
  void reply.code(failure.status)
  return { heading: headings[failure.code], sentence: `${failure.message}.` }
}

const noImage = 'This is no image of QCI'

const headings: Readonly<Record<ErrorCode, string>> = {
  NAME_INVALID: noImage,
  TAG_INVALID: noImage,
  DIGEST_INVALID: noImage,
  MANIFEST_INVALID: noImage,
  UNAUTHORIZED: 'Your login is not accepted',
  DENIED: 'You may not see this',
  NAME_UNKNOWN: 'This image is not known',
  MANIFEST_UNKNOWN: 'This image is not known',
  BLOB_UNKNOWN: 'This image is not known',
  UNSUPPORTED: 'This is not possible',
  SIZE_INVALID: 'This is not possible',
  TOOMANYREQUESTS: 'Too many requests',
  UNAVAILABLE: 'No answer now',
}

/** Undefined for a bug of the proxy. */
const shownFailure = (error: FastifyError): RegistryError | undefined => {
  if (error instanceof RegistryError) return error
  const { statusCode = 500, message } = error
  return statusCode < 500
    ? new RegistryError('UNSUPPORTED', `the form cannot be read: ${message}`, { status: 400 })
    : undefined
}
