/** Manifests as fast as they come: each request authorized and logged, beside nginx with the same duties. */
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
/** Of one measurement; a round has three for each kind of name. */
const seconds = 3
const connections = 16
/**
 * Questions of one side to the origin and the judge together. nginx lets each of the 16 connections ask for itself when a decision is
 * a minute old: 16 times 3 in the two minutes, and 16 for each of the two names. A tenth of a second without its cache is ten times
 * as many.
 */
const mostQuestions = 200
/** Milliseconds until the last line of a log has to be written. */
const logPatienceMs = 5000

interface Judge extends AsyncDisposable {
  readonly url: string
  readonly asked: () => number
}

/** Says yes to who shows a credential: what it costs is not in the figures, since nginx asks it once a minute. */
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

/** @throws {Error} where what is served is not the manifest, or is served to who shows nothing */
const check = async (url: string, token: string, digest: string): Promise<void> => {
  const headers = { authorization: `Bearer ${token}`, accept: manifestType }
  const response = await fetch(url, { headers })
  const body = Buffer.from(await response.arrayBuffer())
  const arrived = `sha256:${createHash('sha256').update(body).digest('hex')}`
  if (response.status !== 200 || arrived !== digest) throw new Error(`${url}: ${response.status} ${arrived}`)
  const { status } = await fetch(url, { headers: { accept: manifestType } })
  if (status !== 401 && status !== 403) throw new Error(`${url}: ${status} to who shows nothing`)
}

interface Side {
  readonly label: string
  readonly url: string
  /** The file that gets a line for each request. */
  readonly accessLog: string
  /** How often it asked whether somebody may. */
  readonly judged: () => number
}

/** Lines of a log that are of a manifest. */
const linesIn = async (file: string): Promise<number> => {
  // grep finds nothing with 1: no failure here.
  const { stdout } = await runTool('sh', ['-c', 'grep -c /manifests/ "$1" || true', 'sh', file])
  return Number(stdout)
}

/** Runs the load of one side, and adds up what it asked of others meanwhile. */
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

/** @throws {Error} where it did not do what it is measured for: decide and answer from memory, and log each request */
const prove = async ({ label, accessLog }: Side, { seen }: Meter): Promise<string> => {
  const { requests, ofOrigin, ofJudge } = seen
  // Written so that a number that is none fails too.
  if (!(requests > 0 && ofOrigin + ofJudge <= mostQuestions))
    throw new Error(
      `${label}: ${requests} requests, asked the origin ${ofOrigin} times, the judge ${ofJudge}`,
    )
  const deadline = performance.now() + logPatienceMs
  let lines = await linesIn(accessLog)
  while (lines < requests && performance.now() < deadline) {
    await sleep(100)
    lines = await linesIn(accessLog)
  }
  if (lines < requests) throw new Error(`${label}: ${lines} lines of log for ${requests} requests`)
  return `${label}: ${requests} requests, ${lines} lines of log, ${ofOrigin} questions to the origin, ${ofJudge} to the judge.`
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
  await using origin = await startOrigin(directory.path, 1e6)
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
  about: `A manifest of 2.7 kB asked for again and again over ${connections} connections that are kept (wrk, one thread), with a bearer
token of 900 bytes: ${rounds} alternating rounds of ${seconds} s. All of them decide about every request from memory, and
write a line of log for each; who shows no token is refused. That is not believed but counted: the part fails where a side lets such a
one in, logs less than it was asked, or asks the origin and the judge (app.ci, for the proxy) more than ${mostQuestions} times in all. nginx answers
from \`proxy_cache\`, behind an \`auth_request\` whose decision is cached by the credential; it needs one worker for it, as the proxy
needs one process. It stands here twice: as packages ship it, where each answer opens the cached file anew, and with \`open_file_cache\`
(\`max=1000 inactive=60s\`, valid for 60 s), as a sensible operator has it for small files. The target is against the first; the table has
the ratio to both. The origin answers directly, without quay's login and its redirect.`,
  run,
}
