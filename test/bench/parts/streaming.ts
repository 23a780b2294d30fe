/** The CPU that a gigabyte costs: in the proxy, in nginx, and in Fastify with @fastify/reply-from. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../e2e/process.ts'
import { transfer } from '../clients/transfer.ts'
import { startStreamingNginx } from '../peers/nginx.ts'
import { atMost, times, type Part, type Section, type Setting, type Table } from '../section.ts'
import { median } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { startOrigin, type Origin } from '../system/origin.ts'
import { cpuSeconds } from '../system/proc.ts'
import { accepts, scratch, start } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'

/** Each round is one gigabyte through each proxy. On a busy machine there is time for fewer. */
const rounds = { least: 3, most: 5 }
const maxWaitMs = 75_000
/** Milliseconds in which the work after the last byte ends: a line of log, a closed connection. */
const settleMs = 100

interface Contender {
  readonly label: string
  readonly url: string
  readonly pid: number
}

const measure = async (contenders: readonly Contender[], origin: Origin, token: string) => {
  const { path, digest, bytes } = origin.large
  const seen = contenders.map((contender) => ({
    ...contender,
    seconds: [] as number[],
    speeds: [] as number[],
  }))
  // Once to warm up: compiled code, connections, the page cache.
  const began = performance.now()
  for (let round = 0; round <= rounds.most; round++) {
    if (round > rounds.least && performance.now() - began > maxWaitMs) break
    for (const { url, pid, seconds, speeds } of seen) {
      const before = cpuSeconds(pid)
      const { speed } = await transfer(url + path, token, digest)
      await sleep(settleMs)
      if (round === 0) continue
      seconds.push(((cpuSeconds(pid) - before) / bytes) * 1e9)
      speeds.push(speed)
    }
  }
  return seen.map(({ label, seconds, speeds }) => ({ label, seconds, speed: median(speeds) }))
}

const measureScheme = async (
  { main, say }: Setting,
  directory: string,
  origin: Origin,
  scheme: 'http' | 'https',
) => {
  const upstream = scheme === 'http' ? origin.url : origin.tlsUrl
  const ca = scheme === 'http' ? [] : [origin.ca]
  await using appCi = await startAppCi()
  await using proxy = await startProxy({
    main,
    directory,
    name: `proxy-${scheme}`,
    appCi,
    upstream,
    ...(scheme === 'http' ? {} : { ca: origin.ca }),
  })
  await using nginx = await startStreamingNginx(directory, origin, scheme)
  const port = await freePort()
  const program = join(import.meta.dirname, '../peers/reply-from.ts')
  await using library = await start(process.execPath, [program, String(port), upstream, ...ca], {
    directory,
    name: `reply-from-${scheme}`,
    ready: async () => await accepts(port),
  })
  say(`up to ${rounds.most} rounds of 1 GB, ${scheme} upstream`)
  return await measure(
    [
      { label: 'nginx proxy_pass', url: nginx.url, pid: nginx.pid },
      { label: 'quay-proxy', url: proxy.url, pid: proxy.pid },
      { label: '@fastify/reply-from', url: `http://127.0.0.1:${port}`, pid: library.pid },
      { label: 'nginx proxy_pass, 64 KiB buffers', url: nginx.tunedUrl, pid: nginx.pid },
    ],
    origin,
    appCi.longToken,
  )
}

const tableOf = (upstream: string, measured: Awaited<ReturnType<typeof measure>>): Table => ({
  columns: [
    `${upstream} upstream`,
    `CPU s/GB, median of ${measured[0]!.seconds.length}`,
    'least',
    'most',
    'of nginx',
    'of it with 64 KiB buffers',
    'MB/s of one client',
  ],
  rows: measured.map(({ label, seconds, speed }) => [
    label,
    median(seconds).toFixed(2),
    Math.min(...seconds).toFixed(2),
    Math.max(...seconds).toFixed(2),
    times(median(seconds) / median(measured[0]!.seconds)),
    times(median(seconds) / median(measured.at(-1)!.seconds)),
    (speed / 1e6).toFixed(0),
  ]),
})

const run = async (setting: Setting): Promise<Section> => {
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path)
  const kinds = [
    { scheme: 'http', upstream: 'plain', limit: 1.3 },
    { scheme: 'https', upstream: 'TLS', limit: 1.5 },
  ] as const
  const tables: Table[] = []
  const outcomes = []
  for (const { scheme, upstream, limit } of kinds) {
    const measured = await measureScheme(setting, directory.path, origin, scheme)
    tables.push(tableOf(upstream, measured))
    const [nginx, proxy] = measured
    const ratio = median(proxy!.seconds) / median(nginx!.seconds)
    const what = `CPU per GB over that of nginx proxy_pass, ${upstream} upstream`
    outcomes.push(atMost({ what, limit, measured: ratio, format: times }))
  }
  return { tables, outcomes }
}

export const streaming: Part = {
  name: 'streaming',
  title: 'CPU per gigabyte streamed',
  about: `CPU seconds, user and system, that each proxy spends on a blob of 1 GB: ${rounds.least} to ${rounds.most} alternating rounds of one
download each, after one to warm up, every digest checked by the client. nginx has one worker and its default buffers; quay-proxy
also authenticates, authorizes, logs and counts. Lower is better. The target is relative to nginx with its defaults. With sixteen buffers of 64 KiB
nginx takes less CPU: the last row, and the column before the last. The origin
answers directly, without quay's login and its redirect.`,
  run,
}
