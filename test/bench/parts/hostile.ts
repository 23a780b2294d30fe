/** Ten good requesters, and one bad requester of each kind in turn. */
import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseDuration } from '../../../src/config/value-parsers.ts'
import type { GoodInput, GoodReport } from '../clients/good.ts'
import type { HostileReport } from '../clients/hostile.ts'
import { atLeast, atMost, milliseconds, percent, times } from '../section.ts'
import type { Part, Section, Setting } from '../section.ts'
import { median } from '../statistics.ts'
import { cpuSeconds } from '../system/proc.ts'
import { startAppCi } from '../system/app-ci.ts'
import { openInspector, type Inspector } from '../system/inspector.ts'
import { stockHostile, trustedAddress, type Bad } from '../system/hostile.ts'
import { scratch, startClient } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'
import { startSandboxQuay, tagImage } from '../system/quay.ts'

const good = 10
const keptShare = 0.9
const p99Times = 2
/** Milliseconds until a bad requester has all its connections, and until its work has ended after it. */
const settleMs = 2000

interface Measured {
  readonly bad: Bad
  readonly alone: GoodReport
  readonly beside: GoodReport
  readonly report: HostileReport
  /** CPU of the proxy, as a share of one core. */
  readonly cpu: number
  /** Milliseconds: 99th percentile of the event-loop delay within the proxy. */
  readonly loopDelay: number
  readonly kept: number
  readonly slower: number
}

const measureGood = async (input: GoodInput): Promise<GoodReport> => {
  await using client = startClient<GoodReport>('good.ts', input)
  return await client.next()
}

type Beside = Pick<Measured, 'beside' | 'report' | 'cpu' | 'loopDelay'>

const measureBeside = async (
  { label: _label, ...kind }: Bad,
  input: GoodInput,
  { pid, inspector }: { pid: number; inspector: Inspector },
): Promise<Beside> => {
  const port = Number(new URL(input.registry).port)
  await using client = startClient<HostileReport>('hostile.ts', { ...kind, port })
  await sleep(settleMs)
  await inspector.look()
  const before = { cpu: cpuSeconds(pid), at: performance.now() }
  const beside = await measureGood(input)
  const cpu = (cpuSeconds(pid) - before.cpu) / ((performance.now() - before.at) / 1000)
  const { loopDelay } = await inspector.look()
  client.end()
  return { beside, cpu, loopDelay, report: await client.next() }
}

/** The median of two measurements without the bad requester. */
const together = (before: GoodReport, after: GoodReport): GoodReport => ({
  failures: { ...before.failures, ...after.failures },
  whole: median([before.whole, after.whole]),
  p50: median([before.p50, after.p50]),
  p99: median([before.p99, after.p99]),
})

/** Without the bad requester, before and after each measurement: the load of the machine changes. */
const measureAll = async (
  bads: readonly Bad[],
  input: GoodInput,
  {
    pid,
    inspector,
    say,
    forget,
  }: { pid: number; inspector: Inspector; say: Setting['say']; forget: () => void },
) => {
  // One more to warm up.
  await measureGood(input)
  let before = await measureGood(input)
  const all: Measured[] = []
  for (const bad of bads) {
    say(bad.label)
    forget()
    const measured = await measureBeside(bad, input, { pid, inspector })
    const { beside } = measured
    await sleep(settleMs)
    const after = await measureGood(input)
    const alone = together(before, after)
    all.push({ ...measured, bad, alone, kept: beside.whole / alone.whole, slower: beside.p99 / alone.p99 })
    before = after
  }
  return all
}

const listOf = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ') || 'none'

const rowOf = ({ bad, alone, beside, report, cpu, loopDelay, kept, slower }: Measured) => [
  bad.label,
  alone.whole.toFixed(0),
  String(beside.whole),
  percent(kept),
  milliseconds(alone.p99),
  milliseconds(beside.p99),
  times(slower),
  percent(cpu),
  milliseconds(loopDelay),
  listOf(beside.failures),
  `${report.connections} connections; ${listOf(report.answers)}`,
]

const run = async ({ main, argument = '3s', say }: Setting): Promise<Section> => {
  const durationMs = parseDuration(argument)
  if (durationMs === undefined || durationMs < 1000)
    throw new Error(`hostile=${argument}: expected 1s or more, such as 10s`)
  const [load = 0] = loadavg()
  await using directory = await scratch()
  await using appCi = await startAppCi()
  await using upstream = await startSandboxQuay()
  const { quay } = upstream
  const image = await tagImage(quay, 'ocp_4.5_base', {
    platforms: ['linux/amd64', 'linux/arm64'],
    layers: 2,
    layerBytes: 4096,
  })
  const bads = await stockHostile(appCi, quay)
  await using proxy = await startProxy({
    main,
    directory: directory.path,
    appCi,
    upstream: quay.url,
    flags: [`--trusted-proxies=${trustedAddress}`],
    nodeOptions: ['--inspect=127.0.0.1:0'],
  })
  await using inspector = await openInspector(proxy.log)
  const input: GoodInput = {
    registry: proxy.url,
    tokens: Array.from({ length: good }, (_, index) => appCi.issue(`person-${index}`)),
    manifests: [
      'ocp/4.5/manifests/base',
      `ocp/4.5/manifests/${image.digest}`,
      'openshift/ci/manifests/ocp_4.5_base',
    ],
    image: [
      ...image.manifests.map(({ digest }) => `ocp/4.5/manifests/${digest}`),
      ...[...image.blobs.keys()].map((digest) => `ocp/4.5/blobs/${digest}`),
    ],
    milliseconds: durationMs,
  }
  say('the good requesters alone')
  // The sandbox keeps every request for tests to count.
  const all = await measureAll(bads, input, {
    pid: proxy.pid,
    inspector,
    say,
    forget: () => void ((quay.requests as unknown[]).length = 0),
  })
  return {
    notes: [
      `The load average of the machine was ${load.toFixed(0)} before the part began. Above 1, other programs took part of the CPU.`,
    ],
    tables: [
      {
        columns: [
          'beside',
          'alone',
          'beside it',
          'kept',
          'p99 alone',
          'p99 beside it',
          '',
          'CPU of the proxy, of a core',
          'event-loop delay of the proxy, p99',
          'failures of the good requesters',
          'answers to the bad requester',
        ],
        rows: all.map(rowOf),
      },
    ],
    outcomes: all.flatMap(({ bad, kept, slower }) => [
      atLeast({ what: `${bad.kind}: requests kept`, limit: keptShare, measured: kept, format: percent }),
      atMost({ what: `${bad.kind}: p99`, limit: p99Times, measured: slower, format: times }),
    ]),
  }
}

export const hostile: Part = {
  name: 'hostile',
  title: 'Hostile requesters',
  about: `${good} people each send a request every 20 ms: for cached manifests, by tag and by digest, and every tenth time for a whole
small image. One bad requester of each kind runs at the same time, in a process of its own with low priority (\`nice\`), as fast as it gets answers.
The table shows the share of the good requests that got the right bytes, and the 99th percentile of their latency: with the bad requester, and the median of before and after.
Proxy, upstream, app.ci and both loads share the cores of one machine, so the load itself causes a part of the loss. The event-loop delay is the part of the proxy.`,
  run,
}
