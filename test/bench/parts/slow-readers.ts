/** Five hundred slow clients, and a fast one. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SlowReadersInput, SlowReadersReport } from '../clients/slow-readers.ts'
import { transfer } from '../clients/transfer.ts'
import { startStreamingNginx } from '../peers/nginx.ts'
import { atLeast, atMost, megabytes, mustHold, percent } from '../section.ts'
import type { Part, Section, Setting } from '../section.ts'
import { median, rise } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { startOrigin, type Origin } from '../system/origin.ts'
import { rssBytes } from '../system/proc.ts'
import { scratch, startClient } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'
import { socketBytes } from '../system/sockets.ts'

const count = 500
/** Downloads of the fast client: before the slow ones, at the same time, and after. */
const rounds = { alone: 2, beside: 3 }
/** Samples of memory, one a second, until the fast client ends. */
const samples = 20
/** Bytes. If the proxy kept what the slow clients read, 500 times 20 kB/s would be 150 MB in 15 s. A fifth of that is short-lived garbage of the fast client. */
const flatBytes = 30e6

interface Side {
  readonly label: string
  readonly url: string
  readonly pid: number
}

const speedsOf = async ({ url }: Side, { large }: Origin, token: string, times: number) => {
  const speeds = []
  for (let round = 0; round < times; round++)
    speeds.push((await transfer(url + large.path, token, large.digest)).speed)
  return speeds
}

const measure = async (side: Side, origin: Origin, token: string, say: Setting['say']) => {
  const { path, file } = origin.large
  const idle = rssBytes(side.pid)
  say(`${side.label}: one reader alone`)
  const before = await speedsOf(side, origin, token, rounds.alone)
  const input: SlowReadersInput = { port: Number(new URL(side.url).port), path, token, file, count }
  await using readers = startClient<SlowReadersReport>('slow-readers.ts', input)
  await readers.next()
  say(`${side.label}: beside ${count} slow ones`)
  const memory: number[] = []
  const sockets: (number | undefined)[] = []
  const sample = async () => {
    for (let second = 0; second < samples; second++) {
      memory.push(rssBytes(side.pid))
      sockets.push(await socketBytes(side.pid))
      await sleep(1000)
    }
  }
  const [beside] = await Promise.all([speedsOf(side, origin, token, rounds.beside), sample()])
  readers.end()
  const report = await readers.next()
  say(`${side.label}: alone again`)
  const after = await speedsOf(side, origin, token, rounds.alone)
  // In the first seconds, the 500 clients connect.
  const settled = memory.slice(samples / 4)
  return {
    label: side.label,
    idle,
    alone: median([...before, ...after]),
    beside: median(beside),
    most: Math.max(...memory),
    inKernel: sockets.includes(undefined) ? 'not measured' : megabytes(Math.max(...(sockets as number[]))),
    rise: rise(settled),
    report,
  }
}

const run = async ({ main, say }: Setting): Promise<Section> => {
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path)
  await using appCi = await startAppCi()
  const flags = ['--max-upstream-connections=1024']
  await using proxy = await startProxy({
    main,
    directory: directory.path,
    appCi,
    upstream: origin.url,
    flags,
  })
  await using nginx = await startStreamingNginx(directory.path, origin, 'http')
  const own = await measure({ label: 'quay-proxy', ...proxy }, origin, appCi.longToken, say)
  const peer = await measure({ label: 'nginx proxy_pass', ...nginx }, origin, appCi.longToken, say)
  const { begun, broken, wrong, least } = own.report
  return {
    tables: [
      {
        columns: [
          '',
          'idle',
          `most beside ${count}`,
          'above idle',
          'rise',
          'most in the kernel',
          'one alone',
          'beside them',
          '',
        ],
        rows: [peer, own].map((side) => [
          side.label,
          megabytes(side.idle),
          megabytes(side.most),
          megabytes(side.most - side.idle),
          megabytes(side.rise),
          side.inKernel,
          `${(side.alone / 1e6).toFixed(0)} MB/s`,
          `${(side.beside / 1e6).toFixed(0)} MB/s`,
          percent(side.beside / side.alone),
        ]),
      },
    ],
    outcomes: [
      atMost({ what: 'memory above idle', limit: 150e6, measured: own.most - own.idle, format: megabytes }),
      atMost({ what: 'flat: its rise over 15 s', limit: flatBytes, measured: own.rise, format: megabytes }),
      atLeast({
        what: 'speed of the fast client, with them',
        limit: 0.8,
        measured: own.beside / own.alone,
        format: percent,
      }),
      mustHold(
        'all clients are served, with the right bytes',
        `${begun} of ${count} begun, ${broken} broken, ${wrong} with wrong bytes, at least ${megabytes(least)} each`,
        begun === count && broken === 0 && wrong === 0,
      ),
    ],
  }
}

export const slowReaders: Part = {
  name: 'slow-readers',
  title: `${count} slow readers`,
  about: `${count} clients read a blob of 1 GB at 20 kB/s each, and one client reads it as fast as it can. The table shows the resident memory of the
proxy, sampled each second, ${samples} times, and the speed of the fast client: the median of
${rounds.beside} downloads at the same time and of ${2 * rounds.alone} without the slow clients, half before and half after.
Idle is right after the start, before anything was streamed. The bytes of the slow clients are compared with the blob. The kernel's
memory is that of the sockets of the process, to both sides (\`ss --tcp --memory\` of iproute2: received, queued to be sent, and reserved). The memory limit of a pod includes it.
The target is for resident memory. The kernel's share is bounded by \`net.ipv4.tcp_mem\`, \`tcp_rmem\` and
\`tcp_wmem\`, not by the process. The origin answers directly, without quay's login and its redirect.`,
  run,
}
