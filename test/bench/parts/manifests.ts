/** Manifests per second: each request is authorized and logged, as nginx does in the same run. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { wrk, type Throughput } from '../clients/wrk.ts'
import { startCachingNginx } from '../peers/nginx.ts'
import { atLeast, milliseconds, percent, times } from '../section.ts'
import type { Part, Section, Setting } from '../section.ts'
import { median } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { manifestTag, manifestType, repository, startOrigin, type Origin } from '../system/origin.ts'
import { runTool, scratch } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'

const rounds = 5
/** Seconds of one measurement. A round has three measurements for each kind of name. */
const seconds = 3
const connections = 16
/**
 * Requests of one proxy to the origin and to the authorization server together. When a decision of nginx is a minute old, each of the 16
 * connections sends a request: 16 times 3 in the two minutes, and 16 for each of the two names. A tenth of a second without its cache
 * would be ten times as many.
 */
const mostQuestions = 200
/** Milliseconds until the last line of a log must be written. */
const logPatienceMs = 5000

interface Judge extends AsyncDisposable {
  readonly url: string
  readonly asked: () => number
}

/** Allows each request that has a credential. Its cost is in no figure, because nginx sends a request once a minute. */
const startJudge = async (): Promise<Judge> => {
  let asked = 0
  const server = createServer(({ headers }, response) => {
    asked++
    response.writeHead(headers.authorization === undefined ? 401 : 200).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked: () => asked,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** @throws {Error} if the answer is not the manifest, or if a request without a token gets it */
const check = async (url: string, token: string, digest: string): Promise<void> => {
  const headers = { authorization: `Bearer ${token}`, accept: manifestType }
  const response = await fetch(url, { headers })
  const body = Buffer.from(await response.arrayBuffer())
  const arrived = `sha256:${createHash('sha256').update(body).digest('hex')}`
  if (response.status !== 200 || arrived !== digest) throw new Error(`${url}: ${response.status} ${arrived}`)
  const { status } = await fetch(url, { headers: { accept: manifestType } })
  if (status !== 401 && status !== 403) throw new Error(`${url}: ${status} for a request without a token`)
}

interface Side {
  readonly label: string
  readonly url: string
  /** The file with a line for each request. */
  readonly accessLog: string
  /** Requests to the authorization server. */
  readonly judged: () => number
}

/** Lines of a log about a manifest. */
const linesIn = async (file: string): Promise<number> => {
  // grep exits with 1 if it finds nothing, which is no failure here.
  const { stdout } = await runTool('sh', ['-c', 'grep -c /manifests/ "$1" || true', 'sh', file])
  return Number(stdout)
}

/** Runs the load of one proxy, and adds up the requests that it sends meanwhile. */
const createMeter = (side: Side, origin: Origin) => {
  const seen = { requests: 0, ofOrigin: 0, ofJudge: 0 }
  return {
    seen,
    run: async (load: Parameters<typeof wrk>[0]): Promise<Throughput> => {
      const before = { origin: await linesIn(origin.accessLog), judge: side.judged() }
      const throughput = await wrk(load)
      seen.requests += throughput.requests
      seen.ofOrigin += (await linesIn(origin.accessLog)) - before.origin
      seen.ofJudge += side.judged() - before.judge
      return throughput
    },
  }
}

type Meter = ReturnType<typeof createMeter>

/** @throws {Error} if it did not do the work that is measured: decide and answer from its cache, and log each request */
const prove = async ({ label, accessLog }: Side, { seen }: Meter): Promise<string> => {
  const { requests, ofOrigin, ofJudge } = seen
  // Written so that NaN fails too.
  if (!(requests > 0 && ofOrigin + ofJudge <= mostQuestions))
    throw new Error(
      `${label}: ${requests} requests, of these ${ofOrigin} to the origin and ${ofJudge} to the authorization server`,
    )
  const deadline = performance.now() + logPatienceMs
  let lines = await linesIn(accessLog)
  while (lines < requests && performance.now() < deadline) {
    await sleep(100)
    lines = await linesIn(accessLog)
  }
  if (lines < requests) throw new Error(`${label}: ${lines} lines of log for ${requests} requests`)
  return `${label}: ${requests} requests, ${lines} lines of log, ${ofOrigin} requests to the origin, ${ofJudge} to the authorization server.`
}

interface Metered extends Side {
  readonly meter: Meter
}

const measure = async (sides: readonly Metered[], path: string, token: string) => {
  const seen = sides.map((side) => ({ ...side, measured: [] as Throughput[] }))
  const load = { token, accept: manifestType, connections }
  for (const { url, meter } of seen) await meter.run({ ...load, url: url + path, seconds: 2 })
  for (let round = 0; round < rounds; round++)
    for (const { url, meter, measured } of seen)
      measured.push(await meter.run({ ...load, url: url + path, seconds }))
  return seen.map(({ label, measured }) => ({
    label,
    rate: median(measured.map(({ requestsPerSecond }) => requestsPerSecond)),
    p50: median(measured.map(({ p50 }) => p50)),
    p99: median(measured.map(({ p99 }) => p99)),
  }))
}

const measureAll = async (sides: readonly Metered[], origin: Origin, token: string, say: Setting['say']) => {
  const paths = [
    { by: 'by tag', path: `/v2/${repository}/manifests/${manifestTag}` },
    { by: 'by digest', path: origin.manifest.path },
  ]
  const all = []
  for (const { by, path } of paths) {
    for (const { url } of sides) await check(url + path, token, origin.manifest.digest)
    say(`${rounds} rounds of ${seconds} s, ${by}`)
    all.push({ by, measured: await measure(sides, path, token) })
  }
  return all
}

const run = async ({ main, say }: Setting): Promise<Section> => {
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path, { largeBytes: 1e6 })
  await using appCi = await startAppCi()
  await using judge = await startJudge()
  await using secondJudge = await startJudge()
  await using proxy = await startProxy({ main, directory: directory.path, appCi, upstream: origin.url })
  const nginx = { directory: directory.path, origin }
  await using shipped = await startCachingNginx({ ...nginx, name: 'nginx-cache', judge: judge.url })
  await using tuned = await startCachingNginx({ ...nginx, name: 'nginx-open-files', judge: secondJudge.url })
  const { requests } = appCi.api
  const sides = [
    { label: 'nginx proxy_cache, auth_request', ...shipped, judged: judge.asked },
    { label: 'nginx, with open_file_cache', ...tuned, judged: secondJudge.asked },
    {
      label: 'quay-proxy',
      ...proxy,
      accessLog: proxy.log,
      judged: () => requests.tokenReviews + requests.subjectAccessReviews,
    },
  ].map((side) => ({ ...side, meter: createMeter(side, origin) }))
  const all = await measureAll(sides, origin, appCi.longToken, say)
  const notes = []
  for (const side of sides) notes.push(await prove(side, side.meter))
  return {
    notes: [notes.join(' ')],
    tables: all.map(({ by, measured }) => ({
      columns: [by, 'requests/s', 'of nginx', 'of it with open_file_cache', 'p50', 'p99'],
      rows: measured.map(({ label, rate, p50, p99 }) => [
        label,
        rate.toFixed(0),
        times(rate / measured[0]!.rate),
        times(rate / measured[1]!.rate),
        milliseconds(p50),
        milliseconds(p99),
      ]),
    })),
    outcomes: all.map(({ by, measured: [peer, , own] }) =>
      atLeast({
        what: `requests per second of nginx's as it ships, ${by}`,
        limit: 0.6,
        measured: own!.rate / peer!.rate,
        format: percent,
      }),
    ),
  }
}

export const manifests: Part = {
  name: 'manifests',
  title: 'Manifests, authorized and logged',
  about: `Requests for a manifest of 2.7 kB over ${connections} keep-alive connections (wrk, one thread), with a bearer
token of 900 bytes: ${rounds} alternating rounds of ${seconds} s. Each proxy decides about every request from its cache, writes
a line of log for each, and refuses requests without a token. The part checks this: it fails if a proxy answers a request without a token,
writes fewer lines than it had requests, or sends more than ${mostQuestions} requests to the origin and the authorization server (app.ci, for quay-proxy). nginx answers
from \`proxy_cache\`, behind an \`auth_request\` whose decision is cached by credential. It has one worker, as quay-proxy
has one process. It is measured twice: with the defaults of its packages, where each answer opens the cached file anew, and with \`open_file_cache\`
(\`max=1000 inactive=60s\`, valid for 60 s), as an operator would set it for small files. The target is relative to the first. The table has
the ratio to both. The origin answers directly, without quay's login and its redirect.`,
  run,
}
