/**
 * The last stages of every request to upstream: circuit breaker, rate limit, redirects, the robot's credential, and the network.
 */
import { noTracing, type Tracing } from '../tracing/tracing.ts'
import { createUpstreamClient } from './client/client.ts'
import { createNetwork, type Network, type NetworkOptions } from './client/network.ts'
import { tracedRoundTrip } from './client/traced-round-trip.ts'
import { ratesFor } from './rate-limit/quay-limits.ts'
import { createRateLimit, type RateLimitOptions } from './rate-limit/rate-limit.ts'
import type { SendUpstream } from './request.ts'
import { createHedge } from './resilience/hedging.ts'
import { createRetry } from './resilience/retry.ts'
import { withCircuitBreaker, type CircuitScope } from './resilience/upstream-circuits.ts'
import { createRobotPool, type RobotPool, type RobotPoolOptions } from './robot/robot-pool.ts'

export interface SenderOptions {
  readonly upstream: URL
  /** PEM, in addition to the well-known authorities. */
  readonly upstreamCa: string | undefined
  /** `openshift/ci` */
  readonly upstreamRepository: string
  readonly maxUpstreamConnections: number
  readonly credentials: RobotPoolOptions['credentials']
  /** `quay`: the proxy stays below the rate limits of quay.io for one address. */
  readonly upstreamLimits: 'quay' | 'none'
  /** Proxies that share one address. */
  readonly replicas: number
  /** Milliseconds for which upstream may be silent within a body. */
  readonly stallTimeoutMs: number
  /** For replicas that share the rate limits of upstream. Each replica counts for itself unless given. */
  readonly tokenBucket?: RateLimitOptions['tokenBucket']
  readonly userAgent?: string | undefined
  readonly tracing?: Tracing
  readonly observe: SenderObservers
}

export interface SenderObservers {
  readonly refused: (reason: string) => void
  readonly request: NetworkOptions['observe']
  readonly hedge: () => void
  readonly circuitOpen: (scope: CircuitScope) => void
  readonly wait: RateLimitOptions['observeWait']
  readonly limited: RateLimitOptions['observeRefused']
  readonly paused: RateLimitOptions['observePause']
}

export interface Sender {
  readonly send: SendUpstream
  readonly robot: RobotPool
  readonly close: () => Promise<void>
}

/** First the network, then the robot's login over it, then the client with both, then the limits. */
export const createSender = (options: SenderOptions): Sender => {
  const { upstream: origin, observe, tracing = noTracing } = options
  const { stage } = tracing
  const network = networkOf(options)
  const robot = robotOf(options, network)
  const send = createUpstreamClient({
    origin,
    network: { ...network, roundTrip: tracedRoundTrip(tracing, network.roundTrip) },
    robot: { acquire: stage('robot credential', async () => await robot.acquire()) },
    onRefused: observe.refused,
  })
  const limited = rateLimitOf(options)(stage('follow redirects', send))
  const guarded = withCircuitBreaker({
    send: stage('rate limit', limited),
    observeRefused: observe.circuitOpen,
  })
  return { send: stage('circuit breaker', guarded), robot, close: network.close }
}

const networkOf = (options: SenderOptions): Network =>
  createNetwork({
    origin: options.upstream,
    maxConnections: options.maxUpstreamConnections,
    userAgent: options.userAgent,
    ...(options.upstreamCa === undefined ? {} : { ca: options.upstreamCa }),
    observe: options.observe.request,
    timeouts: { body: options.stallTimeoutMs },
  })

const robotOf = (options: SenderOptions, network: Network): RobotPool => {
  const { upstream, upstreamRepository: repository, credentials, observe, tracing = noTracing } = options
  const hedge = createHedge({ observe: observe.hedge })
  const get = tracing.stage('robot login', network.get, {
    isClient: true,
    requestAttributes: (url) => ({ 'http.request.method': 'GET', 'server.address': url.hostname }),
    answerAttributes: ({ status }) => ({ 'http.response.status_code': status }),
  })
  return createRobotPool({
    credentials,
    upstream,
    repository,
    get: async (url, authorization) => {
      const send = async () => await get(url, authorization)
      return await hedge({ send, hedgedSend: send })
    },
    retry: createRetry(),
    onRefused: observe.refused,
  })
}

const rateLimitOf = ({ observe, ...options }: SenderOptions) =>
  createRateLimit({
    rates: options.upstreamLimits === 'quay' ? ratesFor(options.replicas) : undefined,
    observeWait: observe.wait,
    observeRefused: observe.limited,
    observePause: observe.paused,
    maxInFlight: options.maxUpstreamConnections,
    tokenBucket: options.tokenBucket,
  })
