/**
 * Errors as pages, for browsers.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { PaceRefusal } from './access-endpoint.ts'

/**
 * Sets the status and the header fields of a failure.
 * @returns its sentence, for the page. @throws the error, if it is a bug of the proxy
 */
export const beginFailure = async (
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  paceRefusal: PaceRefusal,
): Promise<string> => {
  const failure = shownFailure(error as FastifyError)
  if (failure === undefined) throw error
  request.failure = failure
  await paceRefusal(request, failure.status)
  if (request.body === undefined && request.method === 'POST') void reply.header('connection', 'close')
  const retryAfter = failure.headers['retry-after']
  if (retryAfter !== undefined) void reply.header('retry-after', retryAfter)
  void reply.code(failure.status)
  return `${failure.message}.`
}

/** Undefined for a bug of the proxy. */
const shownFailure = (error: FastifyError): RegistryError | undefined => {
  if (error instanceof RegistryError) return error
  const { statusCode = 500, message } = error
  return statusCode < 500
    ? new RegistryError('UNSUPPORTED', `the form cannot be read: ${message}`, { status: 400 })
    : undefined
}
