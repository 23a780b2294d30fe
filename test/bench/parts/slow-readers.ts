/** Five hundred clients that hardly read, and one that does. */
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
/** Downloads of the fast one: before, beside and after. */
const rounds = { alone: 2, beside: 3 }
/** Samples of memory, one a second: while the fast one reads, and until the end of it. */
const samples = 20
/** Were what they read kept, 500 times 20 kB/s would be 150 MB in 15 s. A fifth of it is the fast one's garbage, come and gone. */
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
  // The first seconds belong to the 500 that have just come.
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
        what: 'speed of the fast one beside them',
        limit: 0.8,
        measured: own.beside / own.alone,
        format: percent,
      }),
      mustHold(
        'all of them are served, with the right bytes',
        `${begun} of ${count} begun, ${broken} broken, ${wrong} with wrong bytes, at least ${megabytes(least)} each`,
        begun === count && broken === 0 && wrong === 0,
      ),
    ],
  }
}

export const slowReaders: Part = {
  name: 'slow-readers',
  title: `${count} slow readers`,
  about: `${count} clients that read a blob of 1 GB at 20 kB/s each, and one that reads it as fast as it can: resident memory of the
process in the middle, sampled each second, ${samples} times, and the speed of the fast one, the median of
${rounds.beside} downloads beside them and of ${2 * rounds.alone} without them, half before and half after.
Idle is right after the start, before anything was streamed. What the slow ones read is held against the blob. In the
kernel is what it holds for the sockets of the process, to either side (\`ss --tcp --memory\` of iproute2: received, queued to be sent, and set aside): a pod's memory limit counts it
too, beside resident memory. The target is on resident memory; the kernel's share is bounded by \`net.ipv4.tcp_mem\`, \`tcp_rmem\` and
\`tcp_wmem\`, not by the process. The origin answers directly, without quay's login and its redirect.`,
  run,
}
