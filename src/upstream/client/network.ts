/**
 * The clients for upstream and for where it redirects, without redirects and without the robot's credential.
 */
import { createAgents, type AgentsOptions, type ConnectionTimeouts } from './agents.ts'
import { readBounded } from './bounded-body.ts'
import { createDeadline } from './deadline.ts'
import { createHttp1 } from '../http1/http1.ts'
import { createInterimClient } from './interim-responses.ts'
import { single } from './response-fields.ts'
import { createRoundTrip, type RoundTrip, type RoundTripOptions } from './round-trip.ts'
import type { LoginAnswer } from '../request.ts'

export interface Network {
  readonly roundTrip: RoundTrip
  /** One GET to upstream or its realm, for the robot's own login: without redirects, with a bounded body. */
  readonly get: (url: URL, authorization?: string) => Promise<LoginAnswer>
  /** Whether upstream itself is on a private address, as far as it is known from DNS. */
  readonly isUpstreamPrivate: () => boolean
  readonly totalTimeoutMs: number
  readonly close: () => Promise<void>
}

export interface NetworkOptions extends Omit<AgentsOptions, 'timeouts'> {
  readonly observe: RoundTripOptions['observe']
  readonly timeouts?: Partial<UpstreamTimeouts>
  readonly userAgent?: string | undefined
}

/** Milliseconds. containerd waits for a head for 30 s: a lost first round trip and a retry must fit into that. */
export interface UpstreamTimeouts extends ConnectionTimeouts {
  /** For all round trips of a request, up to the head of a blob, or to the end of the body of everything else. */
  readonly total: number
}
const defaultTimeouts: UpstreamTimeouts = { connect: 5000, head: 10_000, body: 30_000, total: 20_000 }
/** The largest response to the robot's login: tokens have 1-2 KiB. */
const maxLoginBytes = 64 * 1024

export const createNetwork = (options: NetworkOptions): Network => {
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  const agents = createAgents({ ...options, timeouts })
  const http1 = createHttp1({ ...options, timeouts, lookupOf: agents.lookupOf })
  const interim = createInterimClient({ ...options, timeouts, lookupOf: agents.lookupOf })
  const roundTrip = createRoundTrip({ ...options, agents, http1, interim })
  return {
    roundTrip,
    get: createGet(roundTrip, timeouts.total),
    isUpstreamPrivate: agents.isUpstreamPrivate,
    totalTimeoutMs: timeouts.total,
    close: async () => {
      interim.close()
      await Promise.all([agents.close(), http1.close()])
    },
  }
}

const createGet =
  (roundTrip: RoundTrip, timeoutMs: number): Network['get'] =>
  async (url, authorization) => {
    const headers = authorization === undefined ? {} : { authorization }
    const { signal } = createDeadline(timeoutMs)
    const response = await roundTrip(url, { kind: 'robot', method: 'GET', headers, signal })
    const challenge = single(response.headers['www-authenticate'])
    const retryAfter = single(response.headers['retry-after'])
    const body = await readBounded(response.body, maxLoginBytes)
    return {
      status: response.statusCode,
      body: body.toString(),
      ...(challenge === undefined ? {} : { challenge }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    }
  }
