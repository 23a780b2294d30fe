/** The cache on a disk: a hit and a miss, compared with nginx and with CNCF distribution. */
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { missing } from '../../e2e/process.ts'
import { cpuPerGigabyte, type Server } from '../clients/cpu-per-gigabyte.ts'
import { timeOfFirstByte } from '../clients/first-byte-time.ts'
import { startDockerRegistry } from '../peers/docker-registry.ts'
import { startBlobCacheNginx } from '../peers/nginx.ts'
import {
  atMost,
  milliseconds,
  times,
  type Outcome,
  type Part,
  type Section,
  type Setting,
  type Table,
} from '../section.ts'
import { median, percentile } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { startOrigin, type File, type Origin } from '../system/origin.ts'
import { scratch } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'

const hitBytes = 500e6
const hitRounds = 4
const missBytes = 200e6
const misses = 4
const firstBytes = 300

interface Contender extends Server {
  readonly label: string
}

type Scheme = 'plain' | 'TLS'

/** CPU seconds a gigabyte, and milliseconds. */
interface Measured {
  readonly label: string
  readonly hit: number
  readonly miss: number
  readonly p50: number
  readonly p99: number
}

/** The servers take turns, so that a busy moment of the machine hits all of them. */
const hitsOf = async (contenders: readonly Contender[], file: File, token: string): Promise<number[]> => {
  const seen = contenders.map((): number[] => [])
  // The first round fills the caches.
  for (let round = 0; round <= hitRounds; round++)
    for (const [index, contender] of contenders.entries()) {
      const seconds = await cpuPerGigabyte(contender, token, file)
      if (round > 0) seen[index]!.push(seconds)
    }
  return seen.map(median)
}

/** Each file is new to each server. */
const missesOf = async (contenders: readonly Contender[], files: readonly File[], token: string) => {
  const seen = contenders.map((): number[] => [])
  for (const file of files)
    for (const [index, contender] of contenders.entries())
      seen[index]!.push(await cpuPerGigabyte(contender, token, file))
  return seen.map(median)
}

const firstBytesOf = async (contenders: readonly Contender[], file: File, token: string) => {
  const seen: number[][] = []
  for (const { url, ca } of contenders) {
    const options = { keepAlive: true, maxSockets: 1 }
    const agent =
      ca === undefined
        ? new http.Agent(options)
        : new https.Agent({ ...options, ca: await readFile(ca, 'utf8') })
    const elapsed: number[] = []
    for (let request = 0; request < firstBytes; request++)
      elapsed.push(await timeOfFirstByte(agent, url + file.path, token, file))
    agent.destroy()
    // The first ones fill the cache, and compile.
    seen.push(elapsed.slice(firstBytes / 3))
  }
  return seen
}

interface Files {
  readonly large: File
  readonly small: File
  readonly cold: readonly File[]
}

const measure = async (
  contenders: readonly Contender[],
  { large, small, cold }: Files,
  token: string,
): Promise<readonly Measured[]> => {
  const hits = await hitsOf(contenders, large, token)
  const missed = await missesOf(contenders, cold, token)
  const waits = await firstBytesOf(contenders, small, token)
  return contenders.map(({ label }, index) => ({
    label,
    hit: hits[index]!,
    miss: missed[index]!,
    p50: percentile(waits[index]!, 50),
    p99: percentile(waits[index]!, 99),
  }))
}

const measureScheme = async (
  { main, say }: Setting,
  directory: string,
  origin: Origin,
  scheme: Scheme,
): Promise<readonly Measured[]> => {
  const tls = { cert: origin.ca, key: origin.key }
  const own = scheme === 'TLS' ? { tls } : {}
  const ca = scheme === 'TLS' ? origin.ca : undefined
  await using appCi = await startAppCi()
  await using nginx = await startBlobCacheNginx(directory, `nginx-blobs-${scheme}`, origin)
  const name = `proxy-${scheme}`
  await using proxy = await startProxy({
    main,
    directory,
    name,
    appCi,
    upstream: origin.url,
    flags: [`--cache-dir=${directory}/${name}-cache`, '--cache-bytes=20Gi', '--restricted-index=off'],
    ...own,
  })
  await using registry = await startDockerRegistry({
    directory,
    name: `docker-registry-${scheme}`,
    upstream: origin.url,
    ...own,
  })
  say(`${hitRounds} hits of ${hitBytes / 1e6} MB and ${misses} misses of ${missBytes / 1e6} MB, ${scheme}`)
  const cold = []
  for (let count = 0; count < misses; count++) cold.push(await origin.add(missBytes))
  return await measure(
    [
      { label: 'nginx proxy_cache', url: scheme === 'TLS' ? nginx.tlsUrl : nginx.url, pid: nginx.pid, ca },
      { label: 'quay-proxy --cache-dir', url: proxy.url, pid: proxy.pid, ca },
      { label: 'docker-registry', url: registry.url, pid: registry.pid, ca },
    ],
    { large: origin.large, small: origin.small, cold },
    appCi.longToken,
  )
}

const tableOf = (scheme: Scheme, measured: readonly Measured[]): Table => ({
  columns: [
    `clients over ${scheme === 'TLS' ? 'TLS' : 'plain http'}`,
    'hit, CPU s/GB',
    'of nginx',
    'miss with fill, CPU s/GB',
    'of nginx',
    'first byte of a hit, p50',
    'p99',
  ],
  rows: measured.map(({ label, hit, miss, p50, p99 }) => [
    label,
    hit.toFixed(2),
    times(hit / measured[0]!.hit),
    miss.toFixed(2),
    times(miss / measured[0]!.miss),
    milliseconds(p50),
    milliseconds(p99),
  ]),
})

const targets = { plain: { hit: 3, miss: 1.5 }, TLS: { hit: 1.3, miss: 1.5 } } as const

const outcomesOf = (scheme: Scheme, [nginx, proxy]: readonly Measured[]): readonly Outcome[] =>
  (['hit', 'miss'] as const).map((what) =>
    atMost({
      what: `CPU of a ${what} over that of nginx proxy_cache, ${scheme} clients`,
      limit: targets[scheme][what],
      measured: proxy![what] / nginx![what],
      format: times,
    }),
  )

const run = async (setting: Setting): Promise<Section> => {
  const absent = missing('docker-registry')
  if (absent !== false) throw new Error(absent)
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path, hitBytes)
  const tables: Table[] = []
  const outcomes: Outcome[] = []
  for (const scheme of ['plain', 'TLS'] as const) {
    const measured = await measureScheme(setting, directory.path, origin, scheme)
    tables.push(tableOf(scheme, measured))
    outcomes.push(...outcomesOf(scheme, measured))
  }
  return { tables, outcomes }
}

export const cache: Part = {
  name: 'cache',
  title: 'The cache on a disk',
  about: `CPU seconds, user and system, that each cache spends on a gigabyte: on a hit (the median of ${hitRounds} downloads of ${hitBytes / 1e6} MB that
are cached, in the page cache of the kernel as well) and on a miss, which also writes the blob to the disk (the median of ${misses} new blobs of ${missBytes / 1e6} MB).
All three have the same upstream, over plain http. The clients check every digest. The proxy also authenticates, authorizes and logs, and it verifies a
blob while it fills; nginx verifies nothing. Over plain http, nginx sends a hit by sendfile, which copies no bytes through the process. The first byte is that of a
cached blob of 16 KiB, one request after the other on one connection.`,
  run,
}
