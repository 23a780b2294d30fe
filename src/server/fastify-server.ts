/**
 * The Fastify instance with its limits, and the answers to requests that never reach a hook: malformed ones, CONNECT, and Expect.
 */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { RegistryError, unsupported } from '../oci/errors.ts'
import type { Logger } from '../telemetry/logging.ts'
import { answerError } from './answer-errors.ts'
import type { ClientAddresses } from './client-address.ts'
import type { ClientLimits } from './client-limits.ts'
import { answerMalformed, answerRaw } from './malformed-requests.ts'
import { pullOnly } from './unknown-routes.ts'
import { SingleWriteResponse } from './single-write.ts'

export interface FastifyServerConfig {
  readonly clients: ClientAddresses
  readonly limits: ClientLimits
  readonly logger: Logger
  /** PEM; undefined for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
}

/** A zstd:chunked pull sends up to 1024 ranges in one field: about 25 kB. Node's own limit would answer 431. */
const maxHeaderBytes = 64 * 1024
/** A tag has up to 128 characters, a sha512 digest 135, each of which may be percent-encoded. */
const maxParamLength = 512
/** Only the form of the token endpoint is read: a user name and a token. */
const maxBodyBytes = 16 * 1024

export const createFastifyServer = (config: FastifyServerConfig): FastifyInstance => {
  const { limits } = config
  const app = Fastify({
    ...nodeOptions(config),
    ...malformedAnswers(config),
    logger: false,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    routerOptions: { maxParamLength },
    bodyLimit: maxBodyBytes,
    exposeHeadRoutes: false,
    keepAliveTimeout: limits.idleMs,
    requestTimeout: limits.requestMs,
    forceCloseConnections: 'idle',
    // During shutdown, a request on an open connection is still served; it is the last one on that connection.
    return503OnClosing: false,
  }) as FastifyInstance
  answerUnsupported(app, config)
  return app
}

const nodeOptions = ({ tls, limits }: FastifyServerConfig) => {
  const options = {
    ServerResponse: SingleWriteResponse,
    maxHeaderSize: maxHeaderBytes,
    requireHostHeader: false,
    headersTimeout: limits.headerTimeoutMs,
    connectionsCheckingInterval: limits.checkMs,
    // Only the kernel notices a half-open client to which nothing is sent.
    keepAlive: true,
    keepAliveInitialDelay: limits.probeAfterMs,
  }
  return tls === undefined
    ? { http: options }
    : { https: { ...tls, ...options, handshakeTimeout: limits.handshakeMs } }
}

/** No hook runs for a malformed request, and its fields are not set: its log line is written here. */
const malformedAnswers = ({
  clients,
  limits,
  logger,
}: FastifyServerConfig): Pick<FastifyServerOptions, 'clientErrorHandler' | 'frameworkErrors'> => ({
  clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => {
    const answered = answerMalformed(error, socket, limits.lingerMs)
    if (answered !== undefined)
      logger.info(
        { ...answered, client: clients.peerOf(socket).address, reason: error.code },
        'malformed request',
      )
  },
  frameworkErrors: ({ code }, request, reply) => {
    logger.info(
      { requestId: request.id, client: clients.of(request.raw).address, status: 400, reason: code },
      'malformed path',
    )
    void answerError(
      new RegistryError('NAME_INVALID', 'the path is not UTF-8 with valid escapes'),
      request,
      reply,
    )
  },
})

const answerUnsupported = (app: FastifyInstance, { limits, logger }: FastifyServerConfig): void => {
  // Node hands over the bare socket of a CONNECT, and without a listener closes it without an answer.
  app.server.on('connect', (_request, socket) => {
    const requestId = answerRaw(socket, unsupported(405, pullOnly), limits.lingerMs)
    logger.info({ requestId, method: 'CONNECT', status: 405 }, 'malformed request')
  })
  // Node itself answers an expectation other than 100-continue with an empty 417.
  app.server.on('checkExpectation', ({ socket }) => {
    const error = new RegistryError('UNSUPPORTED', 'Expect is not supported', { status: 417 })
    const requestId = answerRaw(socket, error, limits.lingerMs)
    logger.info({ requestId, status: 417 }, 'malformed request')
  })
}
