/**
 * Sends every request to upstream. The robot's credential is added to the first request alone, which goes to the upstream origin. The
 * stage that follows redirects is outside of it: in the other order the CDN would get the robot's token.
 */
import { unlessAborted } from '../../concurrency/abortable.ts'
import { unavailable } from '../../oci/errors.ts'
import { createDeadline } from './deadline.ts'
import { toRegistryError, TransientObjectError, errorForStatus, errorForStorageStatus } from '../errors.ts'
import type { Network } from './network.ts'
import type { RoundTrip, UpstreamReply } from './round-trip.ts'
import { checkRedirect } from './redirect.ts'
import { isUnencoded, single } from './response-fields.ts'
import type { RobotLease, SendUpstream, UpstreamRequest, UpstreamResponse } from '../request.ts'

export interface UpstreamClientOptions {
  readonly origin: URL
  readonly network: Pick<Network, 'roundTrip' | 'isUpstreamPrivate' | 'totalTimeoutMs'>
  readonly robot: { readonly acquire: () => Promise<RobotLease> }
  /** Called if upstream answers 401 to a fresh robot token. */
  readonly onRefused: (reason: string) => void
}

const maxRedirects = 3
const redirectStatuses = new Set([301, 302, 303, 307, 308])

export const createUpstreamClient = (options: UpstreamClientOptions): SendUpstream => {
  const { network, onRefused } = options
  const follow = createFollow(options)
  return async (request) => {
    const deadline = createDeadline(network.totalTimeoutMs, request.signal)
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
}

interface Followed extends UpstreamResponse {
  /** It is the response of upstream itself, to the robot. */
  readonly isFirst: boolean
}

type Follow = (request: UpstreamRequest & { readonly signal: AbortSignal }) => Promise<Followed>

const createFollow = ({ origin, robot, network }: UpstreamClientOptions): Follow => {
  const { roundTrip, isUpstreamPrivate } = network
  const sendAsRobot = asRobot(roundTrip, robot)
  return async (request) => {
    let url = new URL(request.path, origin)
    let digest: string | undefined
    for (let redirects = 0; redirects <= maxRedirects; redirects++) {
      const isFirst = redirects === 0
      // Attack: a storage that redirects back to upstream would choose a path that is requested with the robot's token.
      const reply = await (isFirst ? sendAsRobot : roundTrip)(url, request)
      digest ??= single(reply.headers['docker-content-digest'])
      if (request.redirects === 'ignore' || !redirectStatuses.has(reply.statusCode))
        return { ...responseOf(reply, digest), isFirst }
      await reply.body.discard()
      url = checkRedirect(single(reply.headers['location']), url, {
        allowHttp: origin.protocol === 'http:',
        allowPrivate: isUpstreamPrivate(),
      })
      if (request.redirects === 'locate')
        return { ...responseOf(reply, digest), location: url, isFirst: true }
    }
    throw tooManyRedirects()
  }
}

const responseOf = (
  { statusCode: status, headers, body }: UpstreamReply,
  digest: string | undefined,
): UpstreamResponse => ({ status, headers, body, digest })

const tooManyRedirects = () =>
  unavailable(
    'the upstream registry redirected too many times',
    new Error(`more than ${maxRedirects} redirects`),
  )

/** Encoded bytes have another digest and another length, even if they are encoded for the transfer alone. */
const isEncoded = ({ status, headers }: UpstreamResponse): boolean =>
  (status === 200 || status === 206) && !isUnencoded(headers)

const inAnotherForm = (): TransientObjectError =>
  new TransientObjectError('the upstream registry sent its answer in another form than asked for; try again')

/** The first token, a fresh token of the same robot, and a token of another robot. */
const maxAttempts = 3

/** Sends to upstream itself, with the robot's credential: no other origin gets it. */
const asRobot =
  (roundTrip: RoundTrip, robot: UpstreamClientOptions['robot']): RoundTrip =>
  async (url, request) => {
    // All requests share the robot's login. It goes on without a caller whose deadline has passed.
    const inTime = async <Value>(leased: Promise<Value>) =>
      await unlessAborted(request.signal, leased, toRegistryError)
    let lease = await inTime(robot.acquire())
    for (let attempt = 1; ; attempt++) {
      const { authorization, rejected } = lease
      const headers = authorization === undefined ? request.headers : { ...request.headers, authorization }
      const reply = await roundTrip(url, { ...request, headers })
      if (reply.statusCode !== 401 || attempt === maxAttempts) return reply
      const next = await inTime(rejected()).catch(async (error: unknown) => {
        await reply.body.discard()
        throw error
      })
      if (next === undefined) return reply
      await reply.body.discard()
      lease = next
    }
  }
