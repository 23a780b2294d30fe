/**
 * The server for clients: the stages of every request, in their order. It does not listen, and does no I/O itself.
 */
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyPluginCallback, FastifyRequest } from 'fastify'
import { createIsConfidential } from '../page/confidential.ts'
import { mirrorMethodsOf } from '../page/mirror-queue/mirror-paths.ts'
import { mirrors, type MirrorRoutesOptions } from '../page/mirror-queue/routes.ts'
import { page, type PageOptions } from '../page/routes.ts'
import { createFindNearTag } from '../registry/near-tag.ts'
import { decorateRequests } from '../registry/request-context.ts'
import { routes, type RoutesOptions } from '../registry/routes.ts'
import { TurnQueue } from '../concurrency/turn-queue.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { ShedReason } from '../telemetry/shed-reason.ts'
import { accessLog } from './access-log.ts'
import { answerErrors, createPaceRefusal, type PaceRefusal } from './answer-errors.ts'
import { ClientAddresses } from './client-address.ts'
import { defaultClientLimits, type ClientLimits } from './client-limits.ts'
import { guardConnections, type ConnectionsOptions } from './connections.ts'
import { createFastifyServer } from './fastify-server.ts'
import { readForms } from './forms.ts'
import { health, type HealthOptions } from './health.ts'
import { shedLoad } from './load-shedding.ts'
import { shareLogins } from './login-shares.ts'
import { refusalOf, refuseUnknownRoute } from './unknown-routes.ts'
import { boundPendingBytes } from './pending-bytes.ts'
import { inTurn } from './pipelining.ts'
import type { RefusalPaceOptions } from './refusal-pace.ts'
import { maxPerTurn, spreadBursts } from './request-turns.ts'
import { cutStalledClients } from './stalled-clients.ts'
import { enterSpans, startSpans, type TraceRequestsOptions } from './trace-requests.ts'

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
  keyof LoginOptions | keyof SourceOptions | keyof ObserverOptions | 'findNearTag'
>

/** The options of explanations, in addition to those of pulls. */
export type ExplanationOptions = Pick<
  PageOptions,
  | 'exposed'
  | 'loginAdvice'
  | 'grantAdvice'
  | 'isRestricted'
  | 'qciNamespace'
  | 'isAudit'
  | 'robotsOnly'
  | 'parts'
  | 'describeImage'
>

export interface TelemetryOptions extends ObserverOptions {
  readonly logger: Logger
  readonly metrics: Metrics
  /** Called for each refused client and each cut connection. */
  readonly observeShed: (reason: ShedReason) => void
  /** Undefined if traces are off. */
  readonly traces?: TraceRequestsOptions | undefined
}

export interface ConnectionOptions {
  /** Addresses and networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
  /** Whether connections of trusted proxies begin with a PROXY protocol header. */
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
  readonly explanation: ExplanationOptions
  /** Undefined without a mirror. */
  readonly mirror?: Pick<MirrorRoutesOptions, 'mirror' | 'rights'> | undefined
  /** Replaces some of the default limits. */
  readonly limits?: Partial<ClientLimits>
  readonly refusalPace?: RefusalPaceOptions
  /** Where people get help: named in messages about refusals and failures. */
  readonly helpUrl?: URL | undefined
  /** Plugins of rooms that observe requests, such as `audit/`; registered after the access log. */
  readonly plugins?: readonly FastifyPluginCallback[]
}

export const buildServer = async (options: ServerOptions): Promise<FastifyInstance> => {
  const { login, access, source, telemetry } = options
  const { logger, observe, observeStreams, observeShed } = telemetry
  const limits = { ...defaultClientLimits, ...options.limits }
  const clients = new ClientAddresses(options.connections.trustedProxies)
  const app = createFastifyServer({ clients, limits, logger, tls: options.connections.tls })
  decorateRequests(app, (raw) => clients.of(raw))
  const turns = new TurnQueue(maxPerTurn)
  const shed = (reason: ShedReason) => () => observeShed(reason)
  const cutObserverFor = (reason: ShedReason) => (socket: Socket) => {
    observeShed(reason)
    logger.info({ client: clients.peerOf(socket).address, reason }, 'connection cut')
  }
  const overload = shedLoad({ ...limits, observeShed: shed('requests') })
  const { isArriving } = readForms(app, { ...limits, observeShed: shed('forms'), whole: overload.onBody })
  const { proxyProtocol } = options.connections
  guardAll(app, { ...limits, clients, proxyProtocol, isUnfinished: isArriving, observeShed, cutObserverFor })

  // 0. One request of a connection at a time.
  app.addHook('onRequest', inTurn({ ...limits, onConnectionCut: cutObserverFor('pipelined') }))
  // 1. Every response gets an id, one log line and its metrics, whatever the later stages do.
  await app.register(accessLog, telemetry)
  startSpans(app, telemetry.traces)
  for (const plugin of options.plugins ?? []) await app.register(plugin)
  // 2. Requests over the limits end here; bursts are spread over turns of the event loop.
  app.addHook('onRequest', overload.onRequest)
  app.addHook('onRequest', spreadBursts(turns))
  enterSpans(app, telemetry.traces)
  app.addHook('onSend', boundPendingBytes({ ...limits, observeShed: shed('pending') }))
  // 3. Requests that no route serves end here.
  app.addHook('onRequest', refuseUnknownRoute(login.challenge, options.mirror && mirrorMethodsOf))
  const { helpUrl, refusalPace } = options
  const paceRefusal = createPaceRefusal({ turns, refusalPace })
  answerErrors(app, { logger, paceRefusal, helpUrl })
  // 4. Probes.
  await app.register(health, options.health)
  // 5. The registry: authentication, authorization, then the handler.
  const authenticate = shareLogins(login.authenticate, { ...limits, observeShed: shed('logins') })
  const findNearTag = createFindNearTag({ ...access, ...source })
  const pulls = { ...login, ...access, ...source, observe, findNearTag, authenticate }
  await app.register(routes, { ...pulls, observeStreams })
  // 6. For people: whether they may pull an image, and the mirror.
  await registerForPeople(app, options, { clients, authenticate, paceRefusal, pulls })
  return app
}

type Guards = ConnectionsOptions &
  ClientLimits & { readonly cutObserverFor: (reason: ShedReason) => (socket: Socket) => void }

const guardAll = (app: FastifyInstance, guards: Guards): void => {
  guardConnections(app.server, guards)
  const onConnectionCut = guards.cutObserverFor('stalled')
  cutStalledClients(app.server, { ...guards, minBytes: guards.minTakenBytes, onConnectionCut })
}

interface ForPeople {
  readonly clients: ClientAddresses
  readonly authenticate: LoginOptions['authenticate']
  readonly paceRefusal: PaceRefusal
  readonly pulls: LoginOptions &
    AccessOptions &
    SourceOptions &
    Pick<RoutesOptions, 'observe' | 'findNearTag'>
}

const registerForPeople = async (
  app: FastifyInstance,
  options: ServerOptions,
  { clients, authenticate, paceRefusal, pulls }: ForPeople,
): Promise<void> => {
  const { explanation, mirror } = options
  const forPage = { ...pageOptions(options, clients, authenticate), paceRefusal }
  await app.register(page, { ...explanation, ...pulls, ...forPage })
  const { logger } = options.telemetry
  if (mirror !== undefined)
    await app.register(mirrors, {
      ...mirror,
      ...forPage,
      exposed: explanation.exposed,
      // Nobody looks at the queue without a login.
      authenticate,
      observeSync: ({ id: requestId, identity }, target) =>
        logger.info({ requestId, identity: identity?.user.username, target }, 'sync of the mirror'),
    })
}

/** The page is for clients of any kind, so it accepts a login in clear from nobody but a trusted proxy or this machine. */
const pageOptions = (
  { login, connections, helpUrl }: ServerOptions,
  clients: ClientAddresses,
  authenticate: LoginOptions['authenticate'],
) => ({
  authenticate: login.anonymous?.admit(authenticate) ?? authenticate,
  allowAnonymous: login.anonymous !== undefined,
  isConfidential: createIsConfidential({
    isTrustedPeer: (socket) => clients.peerOf(socket).isTrusted,
    proxyProtocol: connections.proxyProtocol,
  }),
  helpUrl,
  notServed: (request: FastifyRequest) => refusalOf(request, login.challenge),
})
