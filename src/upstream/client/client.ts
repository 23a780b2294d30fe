/**
 * Every request that leaves for upstream. In this order: a redirect is followed outside, the robot's credential is put on
 * inside, per hop, for the upstream origin only. (The other way round the CDN would be handed the robot's token.)
 */
import { unlessAborted } from '../../concurrency/abortable.ts'
import { unavailable } from '../../oci/errors.ts'
import { createAgents, type AgentsOptions, type ConnectionTimeouts } from './agents.ts'
import { readBounded } from './bounded-body.ts'
import { createDeadline } from './deadline.ts'
import { toRegistryError, TransientObjectError, errorForStatus, errorForStorageStatus } from '../errors.ts'
import { createRoundTrip, type UpstreamReply, type RoundTrip, type RoundTripOptions } from './round-trip.ts'
import { checkRedirect } from './redirect.ts'
import { createInterimClient } from './interim-responses.ts'
import { isUnencoded, single } from './response-fields.ts'
import { createHttp1 } from '../http1/http1.ts'
import type { LoginAnswer, SendUpstream, UpstreamRequest, UpstreamResponse } from '../request.ts'

export interface UpstreamClient {
  readonly send: SendUpstream
  /** One GET to upstream or its realm: no redirect, no robot, body bounded. For the robot's own login. */
  readonly get: (url: URL, authorization?: string) => Promise<LoginAnswer>
  readonly close: () => Promise<void>
}

export interface UpstreamClientOptions extends Omit<AgentsOptions, 'timeouts'> {
  readonly robot: {
    readonly authorization: () => Promise<string | undefined>
    /** True where a further try may help, though this one was with a fresh token. */
    readonly invalidate: (refused: string | undefined) => boolean | void
  }
  /** Upstream answers 401 to a fresh robot token. */
  readonly onRefused: (reason: string) => void
  readonly observe: RoundTripOptions['observe']
  readonly timeouts?: Partial<Timeouts>
}

/** Milliseconds. containerd gives up on a response head after 30 s: a lost first hop and a retry must fit in that. */
interface Timeouts extends ConnectionTimeouts {
  /** For all hops and retries up to the head that is handed on; of everything but blobs, to the end of the body. */
  readonly total: number
}
const defaultTimeouts: Timeouts = { connect: 5000, head: 10_000, body: 30_000, total: 20_000 }

const maxRedirects = 3
/** Largest answer to the robot's login that is read: tokens are 1-2 KiB. */
const maxLoginBytes = 64 * 1024
const redirectStatuses = new Set([301, 302, 303, 307, 308])

export const createUpstreamClient = (options: UpstreamClientOptions): UpstreamClient => {
  const { origin, robot, onRefused, observe } = options
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  const agents = createAgents({ ...options, timeouts })

  const stream = createHttp1({ ...options, timeouts, lookupOf: agents.lookupOf })
  const interim = createInterimClient({ ...options, timeouts, lookupOf: agents.lookupOf })
  const roundTrip = createRoundTrip({ agents, stream, interim, observe })
  const sendAsRobot = asRobot(roundTrip, robot)

  const follow = async (request: UpstreamRequest & { signal: AbortSignal }): Promise<Followed> => {
    let url = new URL(request.path, origin)
    let digest: string | undefined
    for (let hop = 0; hop <= maxRedirects; hop++) {
      // Attack: a storage that redirects back would have the robot's token put on a path of its choosing.
      const response = await (hop === 0 ? sendAsRobot : roundTrip)(url, request)
      digest ??= single(response.headers['docker-content-digest'])
      if (request.redirects === 'ignore' || !redirectStatuses.has(response.statusCode))
        return {
          status: response.statusCode,
          headers: response.headers,
          body: response.body,
          digest,
          isFirst: hop === 0,
        }
      await response.body.discard()
      url = checkRedirect(single(response.headers['location']), url, {
        allowHttp: origin.protocol === 'http:',
        allowPrivate: agents.isUpstreamPrivate(),
      })
      if (request.redirects === 'locate') return redirectTo(url, response, digest)
    }
    throw unavailable(
      'the upstream registry redirected too many times',
      new Error(`more than ${maxRedirects} redirects`),
    )
  }

  const send: SendUpstream = async (request) => {
    const deadline = createDeadline(timeouts.total, request.signal)
    const { isFirst, ...response } = await follow({ ...request, signal: deadline.signal })
    const retryAfter = single(response.headers['retry-after'])
    const refusal =
      request.kind === 'blob' && !isFirst
        ? errorForStorageStatus(response.status, retryAfter)
        : errorForStatus(response.status, retryAfter, isFirst ? onRefused : undefined)
    const failure = refusal ?? (isEncoded(response) ? inAnotherForm() : undefined)
    if (failure !== undefined) {
      await response.body.discard()
      throw failure
    }
    if (request.kind === 'blob') deadline.lift()
    return response
  }

  return {
    send,
    get: createGet(roundTrip, timeouts.total),
    close: async () => {
      interim.close()
      await Promise.all([agents.close(), stream.close()])
    },
  }
}

interface Followed extends UpstreamResponse {
  /** It is the answer of upstream itself, to the robot. */
  readonly isFirst: boolean
}

const redirectTo = (
  location: URL,
  { statusCode: status, headers, body }: UpstreamReply,
  digest: string | undefined,
): Followed => ({ status, headers, body, digest, location, isFirst: true })

/** Encoded bytes, for the way alone too, have another digest and length. */
const isEncoded = ({ status, headers }: UpstreamResponse): boolean =>
  (status === 200 || status === 206) && !isUnencoded(headers)

const inAnotherForm = (): TransientObjectError =>
  new TransientObjectError('the upstream registry sent its answer in another form than asked for; try again')

/** To upstream itself, for its own paths: no other hop is asked like that. */
const asRobot =
  (roundTrip: RoundTrip, robot: UpstreamClientOptions['robot']): RoundTrip =>
  async (url, request) => {
    const attempt = async () => {
      // The robot's login is everybody's, and goes on without who has no more time.
      const authorization = await unlessAborted(request.signal, robot.authorization(), toRegistryError)
      const headers = authorization === undefined ? request.headers : { ...request.headers, authorization }
      return { authorization, response: await roundTrip(url, { ...request, headers }) }
    }
    const first = await attempt()
    if (first.response.statusCode !== 401) return first.response
    await first.response.body.discard()
    // No `await` between this and the next `authorization`: what it gives is meant for this request.
    robot.invalidate(first.authorization)
    const second = await attempt()
    if (second.response.statusCode !== 401 || robot.invalidate(second.authorization) !== true)
      return second.response
    await second.response.body.discard()
    return (await attempt()).response
  }

const createGet =
  (roundTrip: RoundTrip, timeoutMs: number): UpstreamClient['get'] =>
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
