/**
 * The Fastify server: the stages that every request passes, in one order. No listening, no I/O of its own.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Socket } from 'node:net'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import type { Config } from './config/config.ts'
import { errorBody, RegistryError, unavailable, unsupported } from './errors.ts'
import { health, type HealthOptions } from './health.ts'
import { defaultLimits, type Limits } from './limits.ts'
import type { Logger } from './logging.ts'
import type { Metrics } from './metrics.ts'
import { observation } from './observation.ts'
import { shedOverload } from './overload.ts'
import { inTurn } from './pipelining.ts'
import { askerOrAddressOf } from './registry/asker.ts'
import { routes, type RoutesOptions } from './registry/routes.ts'
import { ClientAddresses } from './server/client-address.ts'
import { guardConnections } from './server/connections.ts'
import { readForms } from './server/forms.ts'
import { shareLogins } from './server/login-shares.ts'
import { boundPendingBytes } from './server/pending-bytes.ts'
import { RefusalPace, type RefusalPaceOptions } from './server/refusal-pace.ts'
import { cutStalledClients } from './stalled-clients.ts'
import { answerRaw, answerUnreadable } from './unreadable.ts'

export interface Parts extends RoutesOptions, HealthOptions {
  readonly logger: Logger
  readonly metrics: Metrics
  /** PEM; undefined for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  /** Called for each client that was sent away, or cut, and why. */
  readonly observeShed: (reason: Shed) => void
  /** For tests: the usual one otherwise. */
  readonly refusalPace?: RefusalPaceOptions
  /** Other than the usual ones. */
  readonly limits?: Partial<Limits>
}

/**
 * `requests`, `connections`, `logins`, `forms`: too many of them, or a form too late. `heads`: too many bytes of them are unfinished.
 * `pipelined`: too many on one connection. `stalled`: took nothing of its answer. `pending`: has too much to read already.
 * `proxy-protocol`: a proxy that did not say whom it speaks for.
 */
export type Shed =
  | 'requests'
  | 'connections'
  | 'logins'
  | 'forms'
  | 'heads'
  | 'pipelined'
  | 'stalled'
  | 'pending'
  | 'proxy-protocol'

export type ServerConfig = Pick<Config, 'trustedProxies' | 'proxyProtocol'>

/** A zstd:chunked pull asks for up to 1024 ranges in one field: about 25 kB. Node's own limit would answer 431. */
const maxHeaderBytes = 64 * 1024
/** A tag has up to 128 characters, a sha512 digest 135, each of which may be percent-encoded. */
const maxParamLength = 512
/** The only body that is read is the realm's form: a user name and a token. */
const maxBodyBytes = 16 * 1024

export const buildServer = async (config: ServerConfig, parts: Parts): Promise<FastifyInstance> => {
  const { logger, observeShed } = parts
  const limits = { ...defaultLimits, ...parts.limits }
  const clients = new ClientAddresses(config.trustedProxies)
  const app = createFastify(clients, parts, limits)
  app.decorateRequest('client', {
    getter() {
      return clients.of(this.raw)
    },
  })
  const observeCut = (reason: Shed) => (socket: Socket) => {
    observeShed(reason)
    logger.info({ client: clients.peerOf(socket).address, reason }, 'connection cut')
  }
  const shed = (reason: Shed) => () => observeShed(reason)
  const overload = shedOverload({ ...limits, observeShed: shed('requests') })
  const { isArriving } = readForms(app, { ...limits, observeShed: shed('forms'), whole: overload.onBody })
  guardConnections(app.server, {
    ...limits,
    clients,
    proxyProtocol: config.proxyProtocol,
    isUnfinished: isArriving,
    observeShed,
    observeCut,
  })
  cutStalledClients(app.server, {
    ...limits,
    minBytes: limits.minTakenBytes,
    observeCut: observeCut('stalled'),
  })
  app.decorateRequest('identity', null)
  app.decorateRequest('repository', null)
  app.decorateRequest('reference', null)
  app.decorateRequest('decision', null)
  app.decorateRequest('beside', null)
  app.decorateRequest('receivedAt', 0)

  // 0. One request of a connection at a time: what waits for its turn is not there yet.
  app.addHook('onRequest', inTurn({ ...limits, observeCut: observeCut('pipelined') }))
  // 1. Every answer carries an id, and leaves one line and its numbers behind, whatever becomes of it below.
  await app.register(observation, parts)
  // 2. What is too much ends here.
  app.addHook('onRequest', overload.onRequest)
  app.addHook('onSend', boundPendingBytes({ ...limits, observeShed: shed('pending') }))
  // 3. What is not served ends here: before a body is read, before anybody is asked. Without a credential below /v2/ the answer
  //    is the challenge all the same, since clients learn from it where to log in.
  app.addHook('onRequest', (request, _reply, done) => {
    // Attack: `GET http://elsewhere/...` treats us as a forward proxy. No client of a registry writes its target like that.
    if (request.is404 || !request.raw.url?.startsWith('/')) done(notServed(request, parts))
    else done()
  })
  const pace = new RefusalPace(parts.refusalPace)
  app.setErrorHandler(async (error: FastifyError | RegistryError, request, reply) => {
    const failure = toRegistryError(error, parts.logger, request.id)
    const delayMs = pace.delayOf(askerOrAddressOf(request), failure.status)
    // A challenge is no refusal: every pull begins with it.
    if (delayMs > 0 && request.headers.authorization !== undefined)
      await sleep(delayMs, undefined, { ref: false })
    return answerError(failure, request, reply)
  })
  // 4. Alive and ready.
  await app.register(health, parts)
  // 5. The registry: authentication, then reference and authorization, then the bytes.
  const authenticate = shareLogins(parts.authenticate, { ...limits, observeShed: shed('logins') })
  await app.register(routes, { ...parts, authenticate })
  return app
}

/** The Prometheus endpoint, on an address of its own: what it tells is not for clients. */
export const buildMetricsServer = ({ registry }: Metrics): FastifyInstance => {
  const app = Fastify({ logger: false })
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
  return app
}

const createFastify = (clients: ClientAddresses, { tls, logger }: Parts, limits: Limits): FastifyInstance => {
  const options = {
    maxHeaderSize: maxHeaderBytes,
    requireHostHeader: false,
    headersTimeout: limits.headMs,
    connectionsCheckingInterval: limits.checkMs,
    // A half-open client that nothing is sent to is noticed by the kernel alone.
    keepAlive: true,
    keepAliveInitialDelay: limits.probeAfterMs,
  }
  const app = Fastify({
    ...(tls === undefined
      ? { http: options }
      : { https: { ...tls, ...options, handshakeTimeout: limits.handshakeMs } }),
    logger: false,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    routerOptions: { maxParamLength },
    bodyLimit: maxBodyBytes,
    exposeHeadRoutes: false,
    keepAliveTimeout: limits.idleMs,
    requestTimeout: limits.requestMs,
    forceCloseConnections: 'idle',
    // A request on a connection that is still open when we shut down is served, and is the last one on it.
    return503OnClosing: false,
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => {
      const answered = answerUnreadable(error, socket, limits.lingerMs)
      if (answered !== undefined)
        logger.info(
          { ...answered, client: clients.peerOf(socket).address, reason: error.code },
          'unreadable request',
        )
    },
    frameworkErrors: ({ code }, request, reply) => {
      const message =
        code === 'FST_ERR_BAD_URL'
          ? 'the path is not UTF-8 with valid escapes'
          : 'a component of the path is too long'
      // No hook runs for these, and no decoration is there: the line is written here.
      logger.info(
        { requestId: request.id, client: clients.of(request.raw).address, status: 400, reason: code },
        'unreadable path',
      )
      void answerError(new RegistryError('NAME_INVALID', message), request, reply)
    },
  }) as FastifyInstance
  // CONNECT never becomes a request: Node hands over the bare socket, and would close it without a word.
  app.server.on('connect', (_request, socket) => {
    const requestId = answerRaw(socket, unsupported(405, pullOnly), limits.lingerMs)
    logger.info({ requestId, method: 'CONNECT', status: 405 }, 'unreadable request')
  })
  // Node's own answer to an expectation other than 100-continue is an empty 417.
  app.server.on('checkExpectation', ({ socket }) => {
    const requestId = answerRaw(
      socket,
      new RegistryError('UNSUPPORTED', 'Expect is not supported', { status: 417 }),
      limits.lingerMs,
    )
    logger.info({ requestId, status: 417 }, 'unreadable request')
  })
  return app
}

const pullOnly = 'this registry is pull-only: images come to QCI by promotion, not by push'

const notServed = (request: FastifyRequest, { challenge }: Parts): RegistryError => {
  const [path = ''] = request.url.split('?')
  const isRegistry = path === '/v2' || path.startsWith('/v2/')
  if (isRegistry && request.headers.authorization === undefined)
    return challenge.unauthorized('log in first: nothing here is open to everybody')
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return unsupported(405, pullOnly, path === '/v2/auth' ? 'GET, HEAD, POST' : 'GET, HEAD')
  return unsupported(
    404,
    'there is nothing here; an image is at /v2/<namespace>/<name>/manifests/<tag or digest>',
  )
}

const toRegistryError = (
  error: FastifyError | RegistryError,
  logger: Logger,
  requestId: string,
): RegistryError => {
  if (error instanceof RegistryError) return error
  // The framework's own refusals: of a body's type, length or form.
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new RegistryError('UNSUPPORTED', `the request cannot be read: ${error.message}`, {
      status: 400,
      cause: error,
    })
  // A mistake of ours. 503, since podman gives up on 500 and another replica may know better.
  logger.error({ err: error, stack: error.stack, requestId }, 'unexpected error')
  return unavailable('the proxy has made a mistake; its administrators can find it by the request id', error)
}

/** The one writer of errors to clients that sent a readable request. */
const answerError = (error: RegistryError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  request.failure = error
  // A body that nobody will read is not waited for: the connection ends with the answer.
  const hasBody =
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  if (hasBody && request.body === undefined) void reply.header('connection', 'close')
  return reply
    .code(error.status)
    .headers({ 'x-request-id': request.id, 'content-type': 'application/json', ...error.headers })
    .send(errorBody(error))
}
