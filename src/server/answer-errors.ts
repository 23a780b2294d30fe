/**
 * The one writer of errors to clients that sent a well-formed request. @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */
import { STATUS_CODES } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errorBody, RegistryError, unavailable } from '../oci/errors.ts'
import { printableAscii } from '../oci/printable.ts'
import { requesterOrNetworkOf } from '../registry/requester.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { TurnQueue } from '../concurrency/turn-queue.ts'
import { RefusalPace, type RefusalPaceOptions } from './refusal-pace.ts'

export interface ErrorOptions {
  readonly logger: Logger
  readonly paceRefusal: PaceRefusal
  /** Where people get help. */
  readonly helpUrl?: URL | undefined
}

export interface PaceOptions {
  readonly turns: TurnQueue
  readonly refusalPace?: RefusalPaceOptions | undefined
}

/** Waits before an error response of this status, so that requesters with many refusals get theirs late. */
export type PaceRefusal = (request: FastifyRequest, status: number) => Promise<void>

/**
 * Attack: hundreds of requests whose deadline ends at the same moment. Their responses are spread over turns of the event loop.
 */
export const createPaceRefusal = ({ turns, refusalPace }: PaceOptions): PaceRefusal => {
  const pace = new RefusalPace(refusalPace)
  return async (request, status) => {
    const delayMs = pace.delayOf(requesterOrNetworkOf(request), status)
    if (delayMs > 0) await sleep(delayMs, undefined, { ref: false })
    await turns.turn(request.client.network)
  }
}

/** Errors of hooks and handlers become errors of a registry. */
export const answerErrors = (app: FastifyInstance, { logger, paceRefusal, helpUrl }: ErrorOptions): void => {
  app.setErrorHandler(async (error: FastifyError | RegistryError, request, reply) => {
    const failure = toRegistryError(error, logger, request.id)
    // Every pull begins with a challenge: it is answered without a delay.
    if (request.headers.authorization !== undefined) await paceRefusal(request, failure.status)
    return answerError(failure, request, reply, helpUrl)
  })
}

export const answerError = (
  error: RegistryError,
  request: FastifyRequest,
  reply: FastifyReply,
  helpUrl?: URL,
): FastifyReply => {
  request.failure = error
  // The proxy does not read the body of a refused request: the connection ends with the answer.
  const hasBody =
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  if (hasBody && request.body === undefined) void reply.header('connection', 'close')
  const message = messageOf(error, request.id, helpUrl)
  if (error.status >= 500) reply.raw.statusMessage = reasonPhrase(error.status, message)
  return reply
    .code(error.status)
    .headers({ 'x-request-id': request.id, 'content-type': 'application/json', ...error.headers })
    .send(errorBody({ code: error.code, message }))
}

/** Characters. */
const maxReasonLength = 400

/**
 * podman, skopeo, docker and ctr show the status line of a 5xx and not its body: `503 Service Unavailable: quay.io does not answer ...`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-4
 */
const reasonPhrase = (status: number, message: string): string =>
  printableAscii(`${STATUS_CODES[status]}: ${message}`).slice(0, maxReasonLength)

/**
 * The message with help for a person: the request id for a failure that the client did not cause, because no client shows the field
 * X-Request-Id, and where to get help.
 */
const messageOf = ({ status, message }: RegistryError, id: string, helpUrl: URL | undefined): string => {
  const isFailure = status >= 500
  const parts = [
    ...(isFailure ? [`request id ${id}`] : []),
    ...(helpUrl !== undefined && (isFailure || status === 401 || status === 403) ? [`help: ${helpUrl}`] : []),
  ]
  return parts.length === 0 ? message : `${message} (${parts.join('; ')})`
}

const toRegistryError = (
  error: FastifyError | RegistryError,
  logger: Logger,
  requestId: string,
): RegistryError => {
  if (error instanceof RegistryError) return error
  // Fastify refuses a body for its type, length or form.
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new RegistryError('UNSUPPORTED', `the request cannot be read: ${error.message}`, {
      status: 400,
      cause: error,
    })
  // A bug of the proxy. 503, because podman gives up on 500, and another replica may succeed.
  logger.error({ err: error, stack: error.stack, requestId }, 'unexpected error')
  return unavailable('the proxy has made a mistake; its administrators can find it by the request id', error)
}
