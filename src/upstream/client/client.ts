/**
 * Every request to upstream. Redirects are followed outside, and the robot's credential is put on inside, for the first request alone, which
 * goes to the upstream origin. In the other order the CDN would get the robot's token.
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
  /** Upstream answers 401 to a fresh robot token. */
  readonly onRefused: (reason: string) => void
}

const maxRedirects = 3
const redirectStatuses = new Set([301, 302, 303, 307, 308])

export const createUpstreamClient = (options: UpstreamClientOptions): SendUpstream => {
  const { origin, robot, onRefused, network } = options
  const { roundTrip, isUpstreamPrivate, totalTimeoutMs } = network
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
        allowPrivate: isUpstreamPrivate(),
      })
      if (request.redirects === 'locate') return redirectTo(url, response, digest)
    }
    throw unavailable(
      'the upstream registry redirected too many times',
      new Error(`more than ${maxRedirects} redirects`),
    )
  }

  return async (request) => {
    const deadline = createDeadline(totalTimeoutMs, request.signal)
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

/** One more robot than the two tries that a fresh token of one robot takes. */
const maxAttempts = 3

/** To upstream itself, for its own paths: no other origin gets the robot's credential. */
const asRobot =
  (roundTrip: RoundTrip, robot: UpstreamClientOptions['robot']): RoundTrip =>
  async (url, request) => {
    // The robot's login is shared by all requests, and goes on without a caller whose time is over.
    const inTime = async <Value>(leased: Promise<Value>) =>
      await unlessAborted(request.signal, leased, toRegistryError)
    let lease = await inTime(robot.acquire())
    for (let attempt = 1; ; attempt++) {
      const { authorization, rejected } = lease
      const headers = authorization === undefined ? request.headers : { ...request.headers, authorization }
      const response = await roundTrip(url, { ...request, headers })
      if (response.statusCode !== 401 || attempt === maxAttempts) return response
      const next = await inTime(rejected()).catch(async (error: unknown) => {
        await response.body.discard()
        throw error
      })
      if (next === undefined) return response
      await response.body.discard()
      lease = next
    }
  }
