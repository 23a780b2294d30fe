/** Manifests as fast as they come: each request authorized and logged, beside nginx with the same duties. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { wrk, type Throughput } from '../clients/wrk.ts'
import { startCachingNginx } from '../peers/nginx.ts'
import { atLeast, milliseconds, percent, times } from '../section.ts'
import type { Part, Section, Setting } from '../section.ts'
import { median } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { manifestTag, manifestType, repository, startOrigin, type Origin } from '../system/origin.ts'
import { scratch } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'

const rounds = 5
/** Of one measurement; a round has four. */
const seconds = 3
const connections = 16

/** Says yes to everybody: what it costs is not in the figures, since nginx asks it once a minute. */
const startJudge = async (): Promise<AsyncDisposable & { readonly url: string }> => {
  const server = createServer((_request, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
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
}

interface Side {
  readonly label: string
  readonly url: string
}

const measure = async (sides: readonly Side[], path: string, token: string) => {
  const seen = sides.map((side) => ({ ...side, measured: [] as Throughput[] }))
  const load = { token, accept: manifestType, connections }
  for (const { url } of seen) await wrk({ ...load, url: url + path, seconds: 2 })
  for (let round = 0; round < rounds; round++)
    for (const { url, measured } of seen) measured.push(await wrk({ ...load, url: url + path, seconds }))
  return seen.map(({ label, measured }) => ({
    label,
    rate: median(measured.map(({ requestsPerSecond }) => requestsPerSecond)),
    p50: median(measured.map(({ p50 }) => p50)),
    p99: median(measured.map(({ p99 }) => p99)),
  }))
}

const measureAll = async (sides: readonly Side[], origin: Origin, token: string, say: Setting['say']) => {
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
  await using proxy = await startProxy({ main, directory: directory.path, appCi, upstream: origin.url })
  await using nginx = await startCachingNginx(directory.path, origin, judge.url)
  const sides = [
    { label: 'nginx proxy_cache, auth_request', url: nginx.url },
    { label: 'quay-proxy', url: proxy.url },
  ]
  const all = await measureAll(sides, origin, appCi.longToken, say)
  return {
    tables: all.map(({ by, measured }) => ({
      columns: [by, 'requests/s', 'of nginx', 'p50', 'p99'],
      rows: measured.map(({ label, rate, p50, p99 }) => [
        label,
        rate.toFixed(0),
        times(rate / measured[0]!.rate),
        milliseconds(p50),
        milliseconds(p99),
      ]),
    })),
    outcomes: all.map(({ by, measured: [peer, own] }) =>
      atLeast({
        what: `requests per second of nginx's, ${by}`,
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
token of 900 bytes: ${rounds} alternating rounds of ${seconds} s. Both sides decide about every request from memory, and write a line of
log for each. nginx answers from \`proxy_cache\`, behind an \`auth_request\` whose decision is cached by the credential; it needs one
worker for it, as the proxy needs one process.`,
  run,
}
