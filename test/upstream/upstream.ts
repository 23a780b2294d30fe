import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import { isIP } from 'node:net'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import type { Test } from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import type { Body } from '../../src/oci/image-source.ts'
import { createUpstreamClient } from '../../src/upstream/client/client.ts'
import type { UpstreamClientOptions } from '../../src/upstream/client/client.ts'
import { createNetwork, type Network, type NetworkOptions } from '../../src/upstream/client/network.ts'
import type { Lookup } from '../../src/upstream/client/redirect.ts'
import { createRobotToken } from '../../src/upstream/robot/robot-token.ts'
import type { RobotCredential } from '../../src/secrets/robot-credential.ts'
import type { Robot, RobotOptions } from '../../src/upstream/robot/robot-token.ts'
import { robot as account } from '../sandbox/quay/quay-client.ts'
import type { RobotLease, SendUpstream } from '../../src/upstream/request.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

export interface TestServer {
  readonly url: string
  readonly port: number
  readonly requests: readonly Seen[]
}

/** A server on a free port that answers every request alike, counts them, and lives as long as the test. */
export async function serverFor(test: Test, answer: RequestListener): Promise<TestServer> {
  const requests: Seen[] = []
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    requests.push({ method, url, headers })
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, requests }
}

/** The same answer to everybody. */
export function always(
  status: number,
  headers: Record<string, string | string[]> = {},
  body = '',
): RequestListener {
  return (_request, response) => void response.writeHead(status, headers).end(body)
}

export interface Connection extends Pick<Network, 'get'> {
  readonly send: SendUpstream
  readonly network: Network
  readonly refusals: readonly string[]
  /** `<kind> <status>` of every request. */
  readonly observed: readonly string[]
}

/** A robot as tests script it: what it gives, and whether a further try may help once two of its tokens were rejected. */
export interface ScriptedRobot {
  readonly authorization: () => Promise<string | undefined>
  readonly invalidate: (rejected: string | undefined) => boolean | void
}

/** Leases of a scripted robot: a rejected token is worth one more, and another one where `invalidate` says so. */
export const leasing = (robot: ScriptedRobot): UpstreamClientOptions['robot'] => {
  const leaseOf = (given: string | undefined, attempt: number): RobotLease => ({
    authorization: given,
    rejected: async () => {
      const mayHelp = robot.invalidate(given) === true
      return attempt > 1 && !mayHelp ? undefined : leaseOf(await robot.authorization(), attempt + 1)
    },
  })
  return { acquire: async () => leaseOf(await robot.authorization(), 1) }
}

interface ConnectionOptions extends Partial<NetworkOptions> {
  readonly robot?: ScriptedRobot
}

/** An upstream without a robot. */
export function upstreamFor(test: Test, url: string, options: ConnectionOptions = {}): Connection {
  const refusals: string[] = []
  const observed: string[] = []
  const origin = new URL(url)
  const {
    robot = { authorization: () => Promise.resolve(undefined), invalidate: () => undefined },
    ...more
  } = options
  const network = createNetwork({
    origin,
    maxConnections: 10,
    observe: ({ kind, status }) => void observed.push(`${kind} ${status}`),
    ...more,
  })
  const onRefused = (reason: string) => void refusals.push(reason)
  const send = createUpstreamClient({ origin, network, robot: leasing(robot), onRefused })
  test.teardown(() => network.close())
  return { send, network, get: network.get, refusals, observed }
}

export interface RobotFor {
  readonly robot: Robot
  readonly refusals: readonly string[]
}

/** A robot that logs in over a socket. */
export function robotFor(
  test: Test,
  upstream: string,
  options: Partial<RobotOptions> & Pick<Partial<NetworkOptions>, 'lookup'> = {},
): RobotFor {
  const refusals: string[] = []
  const { lookup, ...rest } = options
  const { get } = upstreamFor(test, upstream, lookup === undefined ? {} : { lookup })
  const credential: RobotCredential = account
  const robot = createRobotToken({
    credential: () => credential,
    upstream: new URL(upstream),
    repository: 'openshift/ci',
    get,
    onRefused: (reason) => void refusals.push(reason),
    ...rest,
  })
  return { robot, refusals }
}

/** An upstream with the sandbox quay's robot, put together as in production. */
export function connect(test: Test, quay: { url: string }, options: ConnectionOptions = {}): Connection {
  const { robot } = robotFor(test, quay.url)
  return upstreamFor(test, quay.url, { robot, ...options })
}

/** All of a body. Each chunk is copied and released at once. */
export async function bytesOf(body: Body): Promise<Buffer> {
  const chunks: Buffer[] = []
  await body.pipeTo((chunk, release) => {
    chunks.push(Buffer.from(chunk))
    release()
  })
  return Buffer.concat(chunks)
}

export const manifestRequest = {
  method: 'GET',
  path: '/v2/openshift/ci/manifests/a',
  headers: {},
  kind: 'manifest',
  requester: 'alice',
} as const

/** A resolver that knows these names alone. */
export function lookupOf(names: Readonly<Record<string, readonly string[]>>): Lookup {
  const lookup = (
    name: string,
    _options: object,
    callback: (error: Error | null, addresses: object[]) => void,
  ): void => {
    const addresses = names[name]
    if (addresses === undefined) callback(Object.assign(new Error(name), { code: 'ENOTFOUND' }), [])
    else
      callback(
        null,
        addresses.map((address) => ({ address, family: isIP(address) })),
      )
  }
  return lookup as unknown as Lookup
}

/** The error that a promise must end with; anything else fails the test. */
export async function failure(promise: Promise<unknown>): Promise<RegistryError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )
  if (outcome instanceof RegistryError) return outcome
  throw new Error('not a RegistryError', { cause: outcome })
}

/** `<status> <code> <Retry-After>` */
export function told({ status, code, headers }: RegistryError): string {
  return [status, code, headers['retry-after']].filter((part) => part !== undefined).join(' ')
}

/** All that a log could print of an error, its causes and their fields. */
export function everythingIn(error: unknown): string {
  return inspect(error, { depth: Infinity, maxStringLength: Infinity })
}

/** Resolves as soon as the condition holds; the test's own timeout is the bound. */
export async function until(condition: () => boolean): Promise<void> {
  do await new Promise((resolve) => setTimeout(resolve, 2))
  while (!condition())
}
