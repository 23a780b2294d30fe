/** The time that a proxy adds to the first byte of a blob. */
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { firstByteMs } from '../clients/first-byte.ts'
import { startStreamingNginx } from '../peers/nginx.ts'
import { milliseconds, type Part, type Section, type Setting, type Table } from '../section.ts'
import { percentile } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { startOrigin, type File, type Origin } from '../system/origin.ts'
import { scratch } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'

const rounds = 6
const requestsPerRound = 100

interface Side {
  readonly label: string
  readonly url: string
  readonly agent: http.Agent
}

const measure = async (sides: readonly Side[], file: File, token: string) => {
  const all = sides.map((side) => ({ ...side, seen: [] as number[] }))
  // The first round warms up.
  for (let round = 0; round <= rounds; round++)
    for (const { url, agent, seen } of all)
      for (let asked = 0; asked < requestsPerRound; asked++) {
        const elapsed = await firstByteMs(agent, url + file.path, token, file)
        if (round > 0) seen.push(elapsed)
      }
  return all
}

const tableOf = (title: string, sides: Awaited<ReturnType<typeof measure>>): Table => {
  const direct = sides[0]!.seen
  const figures = [50, 99].map((rank) => ({ rank, base: percentile(direct, rank) }))
  return {
    columns: [title, 'p50', 'p99', 'added at p50', 'added at p99'],
    rows: sides.map(({ label, seen }) => [
      label,
      ...figures.map(({ rank }) => milliseconds(percentile(seen, rank))),
      ...figures.map(({ rank, base }) => milliseconds(percentile(seen, rank) - base)),
    ]),
  }
}

const measureScheme = async (
  { main, say }: Setting,
  directory: string,
  origin: Origin,
  { scheme, upstream }: (typeof kinds)[number],
): Promise<readonly Table[]> => {
  const tls = scheme === 'https'
  const url = tls ? origin.tlsUrl : origin.url
  await using appCi = await startAppCi()
  await using proxy = await startProxy({
    main,
    directory,
    name: `proxy-${scheme}`,
    appCi,
    upstream: url,
    ...(tls ? { ca: origin.ca } : {}),
  })
  await using nginx = await startStreamingNginx(directory, origin, scheme)
  const options = { keepAlive: true, maxSockets: 1 }
  const ca = await readFile(origin.ca)
  const sides = [
    { label: 'no proxy', url, agent: tls ? new https.Agent({ ...options, ca }) : new http.Agent(options) },
    { label: 'nginx proxy_pass', url: nginx.url, agent: new http.Agent(options) },
    { label: 'quay-proxy', url: proxy.url, agent: new http.Agent(options) },
  ]
  const tables = []
  for (const { size, file } of [
    { size: '16 KiB', file: origin.small },
    { size: '1 MB', file: origin.large },
  ]) {
    say(`${rounds} rounds of ${requestsPerRound} requests, ${size}, ${upstream} upstream`)
    tables.push(tableOf(`${size} blob, ${upstream} upstream`, await measure(sides, file, appCi.longToken)))
  }
  for (const { agent } of sides) agent.destroy()
  return tables
}

const kinds = [
  { scheme: 'http', upstream: 'plain' },
  { scheme: 'https', upstream: 'TLS' },
] as const

const run = async (setting: Setting): Promise<Section> => {
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path, { largeBytes: 1e6 })
  const tables: Table[] = []
  for (const kind of kinds) tables.push(...(await measureScheme(setting, directory.path, origin, kind)))
  return { tables, outcomes: [] }
}

export const firstByte: Part = {
  name: 'first-byte',
  title: 'Time to the first byte',
  about: `Time from the request for a blob to the first byte of its body, for a small blob and one of 1 MB, from an upstream over plain HTTP and
over TLS. Requests follow one another on one connection: ${rounds} alternating rounds of ${requestsPerRound}, after one to warm up, all
requests together. The added time is the difference to a request to the origin itself, over TLS if the upstream uses TLS.
Connections are kept alive, so the figures contain no handshake. The origin answers directly, without quay's login and its redirect. On a busy
machine the 99th percentile is mostly its scheduler: a difference of two may be below zero. There is no target: the time that the proxy adds
must be small compared to a round trip over the internet.`,
  run,
}
