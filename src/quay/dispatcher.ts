/**
 * Every request that leaves for upstream. In this order: a redirect is followed outside, the robot's credential is put on
 * inside, per hop, for the upstream origin only. (The other way round the CDN would be handed the robot's token.)
 */
import { unlessAborted } from '../concurrency/abortable.ts'
import { unavailable } from '../errors.ts'
import { createAgents, type AgentsOptions, type ConnectionTimeouts } from './agents.ts'
import type { Body } from './body.ts'
import { readBounded } from './bounded-body.ts'
import { createDeadline } from './deadline.ts'
import { failureOf, ObjectTrouble, refusalOf, refusalOfStorage } from './failures.ts'
import { createSend, type Hop, type Send, type SendOptions, type UpstreamKind } from './hop.ts'
import { checkRedirect } from './redirect.ts'
import { createInterimClient } from './interim-client.ts'
import { isUnencoded, single } from './response-fields.ts'
import type { LoginAnswer } from './robot/robot.ts'
import { createStream } from './stream/stream.ts'

export type { UpstreamKind } from './hop.ts'
export { single } from './response-fields.ts'

/** Who waits for an answer. */
export interface Waiter {
  /** Those who ask much must not keep others waiting. */
  readonly asker: string
  /** Aborted when nobody waits any more. */
  readonly signal?: AbortSignal | undefined
  /**
   * `background`: nobody waits for it, so it goes where nobody else wants to, waits longer for that, and what becomes of it says nothing
   * to those who do wait.
   */
  readonly priority?: 'background' | undefined
}

export interface UpstreamRequest extends Waiter {
  /**
   * `locate`: a redirect is checked and not followed: the answer is its `location`, and nothing was asked of that. `ignore`: it is the
   * answer, wherever it leads.
   */
  readonly redirects?: 'follow' | 'locate' | 'ignore'
  readonly method: 'GET' | 'HEAD'
  /** Below the upstream origin, built from validated parts; never a client's own path. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** What is asked for, in metrics and limits. */
  readonly kind: UpstreamKind
}

export interface UpstreamResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** `Docker-Content-Digest` of the first hop that names one: the CDN behind a redirect knows no digests. */
  readonly digest: string | undefined
  /** Where upstream redirects to, for who wanted to know that alone. A key to the blob for a minute: not to be logged. */
  readonly location?: URL
  readonly body: Body
}

/** @throws {RegistryError} UNAVAILABLE, TOOMANYREQUESTS; 2xx, 4xx but 401 and 429, and 416 are answers */
export type Ask = (request: UpstreamRequest) => Promise<UpstreamResponse>

export interface Upstream {
  readonly ask: Ask
  /** One GET to upstream or its realm: no redirect, no robot, body bounded. For the robot's own login. */
  readonly get: (url: URL, authorization?: string) => Promise<LoginAnswer>
  readonly close: () => Promise<void>
}

export interface UpstreamOptions extends Omit<AgentsOptions, 'timeouts'> {
  readonly robot: {
    readonly authorization: () => Promise<string | undefined>
    /** True where a further try may help, though this one was with a fresh token. */
    readonly invalidate: (refused: string | undefined) => boolean | void
  }
  /** Upstream answers 401 to a fresh robot token. */
  readonly onRefused: (reason: string) => void
  readonly observe: SendOptions['observe']
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

export const createUpstream = (options: UpstreamOptions): Upstream => {
  const { origin, robot, onRefused, observe } = options
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  const agents = createAgents({ ...options, timeouts })

  const stream = createStream({ ...options, timeouts, lookupOf: agents.lookupOf })
  const interim = createInterimClient({ ...options, timeouts, lookupOf: agents.lookupOf })
  const send = createSend({ agents, stream, interim, observe })
  const sendAsRobot = asRobot(send, robot)

  const follow = async (request: UpstreamRequest & { signal: AbortSignal }): Promise<Followed> => {
    let url = new URL(request.path, origin)
    let digest: string | undefined
    for (let hop = 0; hop <= maxRedirects; hop++) {
      // Attack: a storage that redirects back would have the robot's token put on a path of its choosing.
      const response = await (hop === 0 ? sendAsRobot : send)(url, request)
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
      'the upstream registry redirects without end',
      new Error(`more than ${maxRedirects} redirects`),
    )
  }

  const ask: Ask = async (request) => {
    const deadline = createDeadline(timeouts.total, request.signal)
    const { isFirst, ...response } = await follow({ ...request, signal: deadline.signal })
    const retryAfter = single(response.headers['retry-after'])
    const refusal =
      request.kind === 'blob' && !isFirst
        ? refusalOfStorage(response.status, retryAfter)
        : refusalOf(response.status, retryAfter, isFirst ? onRefused : undefined)
    const failure = refusal ?? (isEncoded(response) ? inAnotherForm() : undefined)
    if (failure !== undefined) {
      await response.body.discard()
      throw failure
    }
    if (request.kind === 'blob') deadline.lift()
    return response
  }

  return {
    ask,
    get: createGet(send, timeouts.total),
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
  { statusCode: status, headers, body }: Hop,
  digest: string | undefined,
): Followed => ({ status, headers, body, digest, location, isFirst: true })

/** Encoded bytes, for the way alone too, have another digest and length. */
const isEncoded = ({ status, headers }: UpstreamResponse): boolean =>
  (status === 200 || status === 206) && !isUnencoded(headers)

const inAnotherForm = (): ObjectTrouble =>
  new ObjectTrouble('the upstream registry sent its answer in another form than asked for; try again')

/** To upstream itself, for its own paths: no other hop is asked like that. */
const asRobot =
  (send: Send, robot: UpstreamOptions['robot']): Send =>
  async (url, request) => {
    const attempt = async () => {
      // The robot's login is everybody's, and goes on without who has no more time.
      const authorization = await unlessAborted(request.signal, robot.authorization(), failureOf)
      const headers = authorization === undefined ? request.headers : { ...request.headers, authorization }
      return { authorization, response: await send(url, { ...request, headers }) }
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
  (send: Send, timeoutMs: number): Upstream['get'] =>
  async (url, authorization) => {
    const headers = authorization === undefined ? {} : { authorization }
    const { signal } = createDeadline(timeoutMs)
    const response = await send(url, { kind: 'robot', method: 'GET', headers, signal })
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
