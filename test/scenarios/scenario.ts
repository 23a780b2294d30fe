/**
 * One whole system for a test: app.ci, quay and the proxy over real sockets. The test records everything that passes. At its end it
 * searches the record for every secret: in log lines, in responses, and in requests to origins that must not have it.
 */
import { connect } from 'node:net'
import tap, { type Test } from 'tap'
import { createLogger } from '../../src/telemetry/logging.ts'
import { pull, type PullOptions } from '../../src/sandbox/pull.ts'
import type { RecordedRequest } from '../../src/sandbox/quay/origin.ts'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { undocumentedIn } from '../support/log-fields.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
  /** Code of an OCI error. */
  readonly code: string | undefined
  readonly message: string
}

export interface Ask {
  readonly method?: string
  /** Bearer token. */
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Scenario extends Sandbox {
  /** Token of a user in qci-image-pullers. */
  readonly alice: string
  /** Token of system:serviceaccount:my-team:image-puller, which has system:image-puller in my-team. */
  readonly puller: string
  /** Token of a user without any right. */
  readonly mallory: string
  /** Adds a secret that logs, responses and requests to upstream must not contain. */
  readonly remember: (secret: string) => string
  readonly ask: (path: string, options?: Ask) => Promise<Answer>
  readonly pull: (wanted: Omit<PullOptions, 'registry'>) => ReturnType<typeof pull>
  /** Sends raw bytes on a new socket. @returns everything until the server closes it */
  readonly raw: (text: string | Buffer) => Promise<string>
  /** Log lines so far. */
  readonly lines: () => readonly Readonly<Record<string, unknown>>[]
  readonly upstreamRequests: () => number
  readonly metrics: () => Promise<string>
}

export const manifests = ['manifests/rbac', 'manifests/examples']

export const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

/** A test with its own system. @param flags of the proxy */
export const scenario = async (
  name: string,
  body: (t: Test, scenario: Scenario) => Promise<void>,
  flags: readonly string[] = [],
): Promise<void> => {
  await tap.test(name, async (t) => {
    const { system, evidence } = await start(flags)
    try {
      await body(t, system)
    } finally {
      await system.close()
    }
    assertNoSecrets(t, system, evidence)
  })
}

const start = async (flags: readonly string[]): Promise<{ system: Scenario; evidence: Evidence }> => {
  const log: string[] = []
  const logger = createLogger('trace', { write: (line) => void log.push(line) })
  const sandbox = await startSandbox({
    logger,
    rbac: manifests,
    port: 0,
    flags: ['--grace-period=0s', ...flags],
  })
  const { kubernetes, quay, url } = sandbox
  const secrets: string[] = []
  const robotTokens = flags.includes('--restricted-index=off') ? [] : await untilIndexed(sandbox, log)
  const remember = (secret: string) => {
    secrets.push(secret)
    return secret
  }
  const transcript: string[] = []
  const ask = async (
    path: string,
    { method = 'GET', token, headers = {}, body }: Ask = {},
  ): Promise<Answer> => {
    const authorization: Record<string, string> =
      token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...authorization, ...headers },
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    })
    const content = Buffer.from(await response.arrayBuffer())
    // The realm returns the token that the client has sent: the only response that may contain one.
    if (!path.startsWith('/v2/auth') || !response.ok)
      transcript.push(`${JSON.stringify([...response.headers])}\n${content.toString('latin1')}`)
    return { status: response.status, headers: response.headers, body: content, ...errorOf(content) }
  }
  const raw = async (text: string | Buffer): Promise<string> => {
    const answer = await exchange(url, text)
    transcript.push(answer)
    return answer
  }
  const system: Scenario = {
    ...sandbox,
    alice: remember(kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })),
    puller: remember(kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' })),
    mallory: remember(kubernetes.issueUserToken({ username: 'mallory', groups: [] })),
    remember,
    ask,
    raw,
    pull: async (wanted) => await pull({ registry: url, ...wanted }),
    lines: () => log.map((line) => JSON.parse(line) as Record<string, unknown>),
    upstreamRequests: () => quay.requests.length,
    metrics: async () => await (await fetch(`${sandbox.metricsUrl}/metrics`)).text(),
  }
  return { system, evidence: { secrets, robotTokens, log, transcript } }
}

/** Waits until only the test sends requests to upstream, then empties the list of requests. @returns the robot's tokens so far */
const untilIndexed = async ({ quay }: Sandbox, log: readonly string[]): Promise<readonly string[]> => {
  const isIdle = (line: string) => line.includes('"phase":"idle"')
  while (!log.some(isIdle)) await new Promise((resolve) => setTimeout(resolve, 5))
  return (quay.requests as RecordedRequest[])
    .splice(0)
    .flatMap(({ headers }) => /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1] ?? [])
}

const errorOf = (body: Buffer): { code: string | undefined; message: string } => {
  try {
    const { errors } = JSON.parse(body.toString()) as { errors?: [{ code: string; message: string }] }
    return { code: errors?.[0].code, message: errors?.[0].message ?? '' }
  } catch {
    return { code: undefined, message: '' }
  }
}

const exchange = async (url: string, text: string | Buffer): Promise<string> =>
  await new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })

interface Evidence {
  /** Tokens of clients. */
  readonly secrets: readonly string[]
  /** The robot's tokens from before the requests to upstream were counted. */
  readonly robotTokens: readonly string[]
  readonly log: readonly string[]
  readonly transcript: readonly string[]
}

/** A sample, evenly over all of them: each secret is searched in each line, and the test of faults has tens of thousands of both. */
const sampleOf = (secrets: readonly string[], most = 500): readonly string[] => {
  const step = Math.max(1, secrets.length / most)
  return Array.from(
    { length: Math.min(most, secrets.length) },
    (_, index) => secrets[Math.floor(index * step)] ?? '',
  )
}

const assertNoSecrets = (
  t: Test,
  { quay, robot, kubernetes }: Sandbox,
  { secrets, robotTokens: earlierTokens, log, transcript }: Evidence,
): void => {
  const robotTokens = quay.requests
    .map(({ headers }) => /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1])
    .filter((token) => token !== undefined)
  const signatures = quay.requests
    .filter(({ origin }) => origin === 'cdn')
    .map(({ url }) => url.split('?')[1] ?? url)
  const ours = [robot.password, ...new Set([...earlierTokens, ...robotTokens]), ...sampleOf(signatures)]
  const all = [...secrets, ...ours].flatMap((secret) => [
    secret,
    Buffer.from(`x:${secret}`).toString('base64').slice(4, -4),
  ])
  const holds = (text: string) => all.filter((secret) => secret !== '' && text.includes(secret))
  t.same(log.flatMap(holds), [], 'no log line holds a secret')
  t.same(undocumentedIn(log), [], 'docs/log.md has each field of the log, with its type')
  t.same(transcript.flatMap(holds), [], 'no response holds a secret')
  const toQuay = quay.requests.map((request) => JSON.stringify(request))
  const theirs = secrets.filter((secret) => toQuay.some((request) => request.includes(secret)))
  t.same(theirs, [], 'no client credential reached upstream')
  t.same(quay.leaks, [], "no credential reached the upstream's CDN")
  const withPassword = quay.requests.filter(({ headers }) => headers.authorization?.startsWith('Basic'))
  t.ok(
    withPassword.every(({ url }) => url.startsWith('/v2/auth')),
    "the robot's password went to the login page alone",
  )
  const reviews = JSON.stringify(kubernetes.reviews)
  t.same(
    [...secrets, robot.password].filter((secret) => reviews.includes(secret)),
    [],
    'no SubjectAccessReview holds a secret',
  )
}
