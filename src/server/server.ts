/**
 * The server for clients: the stages that every request passes, in their order. It does not listen, and does no I/O of its own.
 */
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { routes, type RoutesOptions } from '../registry/routes.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { accessLog } from './access-log.ts'
import { answerErrors } from './answer-errors.ts'
import { ClientAddresses } from './client-address.ts'
import { defaultClientLimits, type ClientLimits } from './client-limits.ts'
import { guardConnections } from './connections.ts'
import { createFastifyServer } from './fastify-server.ts'
import { readForms } from './forms.ts'
import { health, type HealthOptions } from './health.ts'
import { shedLoad } from './load-shedding.ts'
import { shareLogins } from './login-shares.ts'
import { refuseNotServed } from './not-served.ts'
import { boundPendingBytes } from './pending-bytes.ts'
import { inTurn } from './pipelining.ts'
import type { RefusalPaceOptions } from './refusal-pace.ts'
import type { ShedReason } from './shed-reason.ts'
import { cutStalledClients } from './stalled-clients.ts'

/** The options of the registry's routes, by the room that provides them. */
export type LoginOptions = Pick<
  RoutesOptions,
  'authenticate' | 'anonymous' | 'challenge' | 'robotTokens' | 'expiryOf'
>
export type SourceOptions = Pick<
  RoutesOptions,
  'fetchManifest' | 'openBlob' | 'fetchTags' | 'fetchReferrers' | 'monorepo'
>
export type ObserverOptions = Pick<RoutesOptions, 'observe' | 'observeStreams'>
export type AccessOptions = Omit<
  RoutesOptions,
  keyof LoginOptions | keyof SourceOptions | keyof ObserverOptions
>

export interface TelemetryOptions extends ObserverOptions {
  readonly logger: Logger
  readonly metrics: Metrics
  /** Called for each client that was refused, and for each connection that was cut. */
  readonly observeShed: (reason: ShedReason) => void
}

export interface ConnectionOptions {
  /** Addresses and networks of proxies whose word about a client is taken. */
  readonly trustedProxies: readonly string[]
  /** Connections of trusted proxies begin with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean
  /** PEM; undefined for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
}

export interface ServerOptions {
  readonly connections: ConnectionOptions
  readonly login: LoginOptions
  readonly access: AccessOptions
  readonly source: SourceOptions
  readonly telemetry: TelemetryOptions
  readonly health: HealthOptions
  /** Replaces some of the default limits. */
  readonly limits?: Partial<ClientLimits>
  readonly refusalPace?: RefusalPaceOptions
}

export const buildServer = async (options: ServerOptions): Promise<FastifyInstance> => {
  const { login, access, source, telemetry } = options
  const { logger, observe, observeStreams, observeShed } = telemetry
  const limits = { ...defaultClientLimits, ...options.limits }
  const clients = new ClientAddresses(options.connections.trustedProxies)
  const app = createFastifyServer({ clients, limits, logger, tls: options.connections.tls })
  decorateRequests(app, clients)
  const shed = (reason: ShedReason) => () => observeShed(reason)
  const onConnectionCut = (reason: ShedReason) => (socket: Socket) => {
    observeShed(reason)
    logger.info({ client: clients.peerOf(socket).address, reason }, 'connection cut')
  }
  const overload = shedLoad({ ...limits, observeShed: shed('requests') })
  const { isArriving } = readForms(app, { ...limits, observeShed: shed('forms'), whole: overload.onBody })
  guardConnections(app.server, {
    ...limits,
    clients,
    proxyProtocol: options.connections.proxyProtocol,
    isUnfinished: isArriving,
    observeShed,
    onConnectionCut,
  })
  cutStalledClients(app.server, {
    ...limits,
    minBytes: limits.minTakenBytes,
    onConnectionCut: onConnectionCut('stalled'),
  })

  // 0. One request of a connection at a time: the others do not count until their turn.
  app.addHook('onRequest', inTurn({ ...limits, onConnectionCut: onConnectionCut('pipelined') }))
  // 1. Every answer carries an id, and leaves one log line and its metrics, whatever the later stages do.
  await app.register(accessLog, telemetry)
  // 2. Requests over the limits end here.
  app.addHook('onRequest', overload.onRequest)
  app.addHook('onSend', boundPendingBytes({ ...limits, observeShed: shed('pending') }))
  // 3. Requests that no route serves end here.
  app.addHook('onRequest', refuseNotServed(login.challenge))
  answerErrors(app, logger, options.refusalPace)
  // 4. Alive and ready.
  await app.register(health, options.health)
  // 5. The registry: authentication, then reference and authorization, then the bytes.
  const authenticate = shareLogins(login.authenticate, { ...limits, observeShed: shed('logins') })
  await app.register(routes, { ...login, ...access, ...source, observe, observeStreams, authenticate })
  return app
}

/** Fastify wants every field of a request declared before the first request, for one shape of all requests. */
const decorateRequests = (app: FastifyInstance, clients: ClientAddresses): void => {
  app.decorateRequest('client', {
    getter() {
      return clients.of(this.raw)
    },
  })
  app.decorateRequest('identity', null)
  app.decorateRequest('repository', null)
  app.decorateRequest('reference', null)
  app.decorateRequest('decision', null)
  app.decorateRequest('beside', null)
  app.decorateRequest('receivedAt', 0)
}
