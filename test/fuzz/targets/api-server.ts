/** Mutates the answers of app.ci's API server: only an explicit yes may grant access. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseConfig } from '../../../src/config/config.ts'
import { createLogger } from '../../../src/telemetry/logging.ts'
import { startProxy, type Proxy } from '../../../src/proxy/start.ts'
import type { Random } from '../random.ts'
import { acceptAll, startSystem, type System } from '../system.ts'
import { must, type Running, type Target } from '../target.ts'
import { freePort } from '../../e2e/process.ts'

interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly fields: Readonly<Record<string, string>>
}

interface Script {
  readonly token: (spec: { readonly token: string }) => Answer
  readonly access: Answer
  /** The answers that were given, by request. */
  readonly given: { token: Answer[]; access: Answer[] }
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

/** The answer of the API server to a review, unchanged or with one change after which it is not a yes. */
const changed = (random: Random, review: Record<string, unknown>, names: readonly string[]): Buffer => {
  const status = { ...(review['status'] as Record<string, unknown>) }
  const odd = random.pick<unknown>([
    'true',
    1,
    'yes',
    [true],
    { a: true },
    null,
    false,
    undefined,
    '',
    0,
    'True',
    {},
  ])
  return random.pick([
    () => json({ ...review, status: { ...status, [random.pick(names)]: odd } }),
    () => json({ ...review, status: { ...status, denied: random.pick([true, 'true', 1, false]) } }),
    () => json({ ...review, status: { ...status, error: 'x', evaluationError: 'y' } }),
    () => json({ ...review, status: random.pick<unknown>([null, 'allowed', [status], true, {}]) }),
    () =>
      json({
        ...review,
        kind: random.pick(['Status', 'TokenReview', 'SubjectAccessReview', '']),
        apiVersion: random.pick(['v1', '']),
      }),
    () => json([review]),
    () => json({ ...status }),
    () =>
      Buffer.from(
        JSON.stringify({ ...review, status }).replace(
          '"status":{',
          `"status":{"${random.pick(names)}":false,`,
        ),
      ),
    () => random.mutated(json({ ...review, status })),
    () => json({ ...review, status }).subarray(0, random.below(200)),
    () =>
      Buffer.from(
        random.pick(['', '<html>', 'null', 'true', '"allowed"', '{"status":{"allowed":true', '{}']),
      ),
    () =>
      json({
        ...review,
        status: {
          ...status,
          user: random.pick<unknown>([
            null,
            {},
            { username: 5 },
            { username: '' },
            { username: ['a'] },
            { username: 'x', groups: 'qci' },
            { username: 'x', groups: [5] },
            { username: 'x', extra: { a: 'b' } },
            { username: 'x', extra: 5 },
            { username: 'x', uid: {} },
          ]),
        },
      }),
  ])()
}

const answerOf = (random: Random, body: Buffer): Answer => ({
  status: random.pick([201, 201, 201, 201, 200, 202, 204, 302, 307, 400, 401, 403, 409, 422, 429, 500, 503]),
  body,
  fields: random.pick([
    { 'content-type': 'application/json' },
    { 'content-type': 'text/html' },
    { location: 'http://127.0.0.1:1/' },
    { 'content-encoding': 'gzip' },
  ]),
})

const good = (body: Buffer): Answer => ({ status: 201, body, fields: { 'content-type': 'application/json' } })

const scriptOf = (random: Random, username: string): Script => {
  const user = { username, groups: ['system:authenticated'], extra: {} }
  const tokenReview = {
    kind: 'TokenReview',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {},
    spec: {},
    status: { authenticated: true, user },
  }
  const access = {
    kind: 'SubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    metadata: {},
    spec: {},
    status: { allowed: true },
  }
  const which = random.below(4)
  const tokenBody = which === 0 ? changed(random, tokenReview, ['authenticated']) : json(tokenReview)
  const accessBody = which === 1 ? changed(random, access, ['allowed']) : json(access)
  const token = which === 0 && random.chance(0.5) ? answerOf(random, tokenBody) : good(tokenBody)
  return {
    token: () => token,
    access: which === 1 && random.chance(0.5) ? answerOf(random, accessBody) : good(accessBody),
    given: { token: [], access: [] },
  }
}

const statusIn = ({ status, body }: Answer): Record<string, unknown> => {
  if (status < 200 || status > 299) return {}
  try {
    const { status: said } = JSON.parse(body.toString()) as { status?: unknown }
    return typeof said === 'object' && said !== null ? (said as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** As tiny as it can be: what an answer has to say for a yes. Of a name that comes twice the last one counts, as in Kubernetes. */
const isAuthenticated = (answer: Answer): boolean => {
  const { authenticated, user } = statusIn(answer)
  const { username } = (user ?? {}) as { username?: unknown }
  return authenticated === true && typeof username === 'string' && username !== ''
}

const isAllowed = (answer: Answer): boolean => {
  const { allowed, denied } = statusIn(answer)
  return allowed === true && denied !== true
}

class ApiServers implements Running {
  readonly #system: System
  readonly #scripts = new Map<string, Script>()
  readonly #log: string[] = []
  readonly #tag: string
  #proxy: Proxy | undefined
  #served = 0
  readonly #api = createServer((request, response) => {
    this.#answer(request, response).catch(() => response.destroy())
  })

  constructor(system: System) {
    this.#system = system
    this.#tag = '/v2/my-team/app/manifests/latest'
  }

  /** A proxy of its own, between the quay of a sandbox and our API server. */
  async start(): Promise<void> {
    this.#api.listen(0, '127.0.0.1')
    await once(this.#api, 'listening')
    const { port } = this.#api.address() as AddressInfo
    const { files, quay, robot, kubernetes } = this.#system
    const kubeconfig = `${files.password}.kubeconfig`
    writeFileSync(
      kubeconfig,
      kubernetes.kubeconfig().replace(/server: .*/, `server: http://127.0.0.1:${port}`),
      { mode: 0o600 },
    )
    const username = `${files.password}.username`
    writeFileSync(username, robot.username, { mode: 0o600 })
    must(readFileSync(files.password, 'utf8') !== '', 'there is a password')
    const listen = `127.0.0.1:${await freePort()}`
    this.#proxy = await startProxy(
      parseConfig(
        [
          `--listen-addr=${listen}`,
          `--exposed-url=http://${listen}`,
          '--metrics-addr=127.0.0.1:0',
          `--upstream=${quay.url}`,
          `--upstream-repository=${quay.repository}`,
          `--robot-username-file=${username}`,
          `--robot-password-file=${files.password}`,
          `--token-secret-file=${files.tokenSecret}`,
          `--kubeconfig=${kubeconfig}`,
          '--restricted-index=off',
          '--upstream-limits=none',
          '--grace-period=0s',
          '--trusted-proxies=127.0.0.1',
        ],
        {},
      ),
      createLogger('info', { write: (line) => void this.#log.push(line) }),
    )
  }

  async run(random: Random, seed: number): Promise<void> {
    const secret = `sha256~${random.text('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789', 43)}`
    const username = `person-${seed}`
    const script = scriptOf(random, username)
    this.#scripts.set(secret, script).set(username, script)
    const address = `2001:db8:${random.text('0123456789abcdef', 4)}:${random.text('0123456789abcdef', 4)}::1`
    const response = await fetch(`${this.#proxy?.url}${this.#tag}`, {
      headers: { authorization: `Bearer ${secret}`, accept: acceptAll, 'x-forwarded-for': address },
    })
    const text = await response.text()
    this.#scripts.delete(secret)
    const { token, access } = script.given
    const said = {
      status: response.status,
      text: text.slice(0, 300),
      token: token.map(({ status, body }) => [status, body.toString()]),
      access: access.map(({ status, body }) => [status, body.toString()]),
    }
    const isYes = token.some(isAuthenticated) && access.some(isAllowed)
    if (response.status === 200) {
      must(isYes, 'who is let in was said to be', said)
      this.#served += 1
    } else must([401, 403, 503, 504].includes(response.status), 'a refusal, or that nobody knows', said)
    const echoed = this.#log.splice(0).filter((line) => line.includes(secret.slice(7, 17)))
    must(!text.includes(secret.slice(7, 17)) && echoed.length === 0, 'the token is not told on', {
      ...said,
      echoed,
    })
  }

  async close(): Promise<void> {
    await this.#proxy?.stop()
    this.#api.close()
    this.#api.closeAllConnections()
    await this.#system.close()
    must(this.#served > 0, 'what is a yes lets in')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const { spec } = JSON.parse(Buffer.concat(chunks).toString() || '{}') as {
      spec?: { token?: string; user?: string }
    }
    const isToken = request.url?.includes('tokenreviews') === true
    const script = this.#scripts.get((isToken ? spec?.token : spec?.user) ?? '')
    const unknown = good(
      json({
        kind: 'SubjectAccessReview',
        apiVersion: 'authorization.k8s.io/v1',
        status: { allowed: false },
      }),
    )
    const answer =
      script === undefined ? unknown : isToken ? script.token({ token: spec?.token ?? '' }) : script.access
    if (script !== undefined) script.given[isToken ? 'token' : 'access'].push(answer)
    response.writeHead(answer.status, answer.fields).end(answer.body)
  }
}

export const apiServer: Target = {
  name: 'api-server',
  about: 'whatever app.ci answers: nobody is let in whom it did not outspokenly let in',
  parallel: 8,
  start: async () => {
    const servers = new ApiServers(await startSystem(['--restricted-index=off']))
    await servers.start()
    return servers
  },
}
