/** All kinds of requests for a long time, while upstream and app.ci fail now and then: memory must not grow. */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseDuration } from '../../../src/config/value-parsers.ts'
import type { FaultRule } from '../../../src/sandbox/quay/faults.ts'
import type { Quay } from '../../../src/sandbox/quay/quay.ts'
import type { LoadInput, LoadReport } from '../clients/load.ts'
import { atMost, megabytes, milliseconds, mustHold, percent } from '../section.ts'
import type { Part, Section, Setting } from '../section.ts'
import { median, rise } from '../statistics.ts'
import { startAppCi, type AppCi } from '../system/app-ci.ts'
import { stockHostile, trustedAddress } from '../system/hostile.ts'
import { openInspector } from '../system/inspector.ts'
import { descriptors, rssBytes } from '../system/proc.ts'
import { scratch, startClient } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'
import { startSandboxQuay, tagImage } from '../system/quay.ts'

const sampleMs = 5000
const faultMs = 250
/** The slope leaves these samples out: compiled code and caches grow to their size. */
const warmUpShare = 0.25
/**
 * Four faults a second hit one request each. No proxy can repair some of them, for example a redirect to an address that refuses
 * connections. These are two or three of about 50 requests in a second. If more than a twentieth fails, the proxy could have saved it.
 */
const wholeShare = 0.95

const blob = /\/blobs\/|^\/(?!v2)/
const manifest = /\/manifests\//

/**
 * In turn, each for one request. None is a body without a length that ends too early without an error (`truncateAfterBytes`): only its
 * digest shows that it is not whole, and the client finds out.
 */
const faults: readonly FaultRule[] = [
  { origin: 'cdn', path: /./, cutAfterBytes: 20_000 },
  { origin: 'quay', path: manifest, status: 503 },
  { origin: 'cdn', path: /./, reset: true },
  { origin: 'quay', path: blob, status: 429 },
  { origin: 'quay', path: manifest, wrongBytes: true },
  { origin: 'cdn', path: /./, status: 502 },
  { origin: 'quay', path: /./, delayMs: 1000 },
  { origin: 'quay', path: /./, expire: true },
  { origin: 'quay', path: manifest, cutAfterBytes: 100 },
  { origin: 'cdn', path: /./, stallAfterBytes: 10_000 },
  { origin: 'quay', path: blob, redirectTo: 'ftp://127.0.0.1/' },
  { origin: 'quay', path: manifest, hang: true },
  { origin: 'quay', path: /tags/, status: 500 },
]
/** After this many faults of quay, the API server does not answer for the time of one fault. */
const outageEvery = 40

const breakThings = async ({ api }: AppCi, quay: Quay, signal: AbortSignal): Promise<void> => {
  for (let turn = 0; !signal.aborted; turn++) {
    // A rule stays in the list after its request. Without this, the list would grow.
    quay.clearFaults()
    quay.fault(faults[turn % faults.length]!)
    api.fault(turn % outageEvery === outageEvery - 1 ? { kind: 'status' } : { kind: 'none' })
    await sleep(faultMs, undefined, { signal }).catch(() => undefined)
  }
}

/** The sandbox stores every request for tests to count. Here, nothing else would grow. */
const forgetRequests = (quay: Quay): void => void ((quay.requests as unknown[]).length = 0)

interface Sample {
  readonly rss: number
  readonly heap: number
  readonly external: number
  readonly descriptors: number
  readonly loopDelay: number
}

const series = [
  { label: 'resident memory', of: ({ rss }: Sample) => rss, format: megabytes },
  { label: 'heap in use', of: ({ heap }: Sample) => heap, format: megabytes },
  { label: 'external memory', of: ({ external }: Sample) => external, format: megabytes },
  {
    label: 'descriptors',
    of: (sample: Sample) => sample.descriptors,
    format: (value: number) => value.toFixed(0),
  },
  { label: 'event-loop delay, p99', of: ({ loopDelay }: Sample) => loopDelay, format: milliseconds },
] as const

const judged = (samples: readonly Sample[]) => samples.slice(Math.ceil(samples.length * warmUpShare))

const tableOf = (samples: readonly Sample[]) => {
  const quarter = Math.ceil(samples.length / 4)
  const middle = Math.floor((samples.length - quarter) / 2)
  const parts = [samples.slice(0, quarter), samples.slice(middle, middle + quarter), samples.slice(-quarter)]
  return {
    columns: ['', 'first quarter', 'around the middle', 'last quarter', 'rise by its slope'],
    rows: series.map(({ label, of, format }) => [
      label,
      ...parts.map((part) => format(median(part.map(of)))),
      format(rise(judged(samples).map(of))),
    ]),
  }
}

const outcomesOf = (samples: readonly Sample[]) => {
  const riseOf = (index: number) => rise(judged(samples).map(series[index]!.of))
  return [
    // A tenth of what Node starts with; a leak of 1 kB for each request would be five times that in ten minutes.
    atMost({ what: 'flat: rise of resident memory', limit: 20e6, measured: riseOf(0), format: megabytes }),
    atMost({ what: 'flat: rise of the heap', limit: 10e6, measured: riseOf(1), format: megabytes }),
    // The sockets of the workers and of their faults differ from moment to moment.
    atMost({ what: 'flat: rise of descriptors', limit: 50, measured: riseOf(3), format: series[3].format }),
    atMost({
      what: 'flat: rise of the event-loop delay',
      limit: 20,
      measured: riseOf(4),
      format: milliseconds,
    }),
  ]
}

const reportOf = ({ done, whole, refused, cut, wrong }: LoadReport, seconds: number) => {
  const statuses = Object.entries(refused).map(([status, count]) => `${count} with ${status}`)
  return {
    note: `In ${seconds.toFixed(0)} s, clients did ${done} things: ${whole} ended well, ${statuses.join(', ') || 'none'} got an error, ${cut} were cut.`,
    outcome: mustHold(
      `no client gets wrong bytes, and ${percent(wholeShare)} of things end well`,
      [`${wrong.length} wrong, ${whole} whole of ${done}`, ...wrong.slice(0, 2)].join('; '),
      wrong.length === 0 && whole >= done * wholeShare,
    ),
  }
}

/** Connections. Fewer than in the part that measures one kind, because all kinds run at once, and for the whole soak. */
const soakedConnections = 3

/** Starts one bad requester of each kind. */
const startHostile = async (appCi: AppCi, quay: Quay, url: string): Promise<AsyncDisposable> => {
  const bads = await stockHostile(appCi, quay)
  const port = Number(new URL(url).port)
  const clients = bads.map(({ label: _label, ...bad }) =>
    startClient('hostile.ts', { ...bad, port, connections: Math.min(bad.connections, soakedConnections) }),
  )
  return {
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map(async (client) => await client[Symbol.asyncDispose]()))
    },
  }
}

const run = async ({ main, argument = '1m', isPeaceful, say }: Setting): Promise<Section> => {
  const durationMs = parseDuration(argument)
  if (durationMs === undefined || durationMs < 4 * sampleMs)
    throw new Error(`soak=${argument}: expected 20s or more, such as 10m`)
  await using directory = await scratch()
  await using appCi = await startAppCi()
  await using upstream = await startSandboxQuay()
  const { quay } = upstream
  const platforms = ['linux/amd64', 'linux/arm64'] as const
  const base = await tagImage(quay, 'ocp_4.5_base', { platforms, layers: 3, layerBytes: 256 * 1024 })
  await tagImage(quay, 'ci_tools_latest', { platforms, layers: 2, layerBytes: 64 * 1024 })
  const large = [...base.blobs].find(([, { length }]) => length > 200_000)![0]
  await using proxy = await startProxy({
    main,
    directory: directory.path,
    appCi,
    upstream: quay.url,
    flags: [`--trusted-proxies=${trustedAddress}`],
    nodeOptions: ['--inspect=127.0.0.1:0'],
  })
  await using inspector = await openInspector(proxy.log)
  const tokens = Array.from({ length: 20 }, (_, index) => appCi.issue(`person-${index}`))
  const images = [
    ['ocp/4.5', 'base'],
    ['ci/tools', 'latest'],
    ['openshift/ci', 'ocp_4.5_base'],
  ] as const
  const input: LoadInput = { registry: proxy.url, images, tokens, large, workers: 12, pauseMs: 20 }
  await using load = startClient<LoadReport>('load.ts', input)
  const over = new AbortController()
  const breaking = breakThings(appCi, quay, over.signal)
  await using _bad = isPeaceful ? undefined : await startHostile(appCi, quay, proxy.url)
  say(`${argument} of load${isPeaceful ? '' : ', and one bad requester of each kind'}`)
  const samples: Sample[] = []
  const began = performance.now()
  while (performance.now() - began < durationMs) {
    await sleep(sampleMs)
    const { heapUsed: heap, external, loopDelay } = await inspector.look()
    samples.push({ rss: rssBytes(proxy.pid), heap, external, descriptors: descriptors(proxy.pid), loopDelay })
    forgetRequests(quay)
  }
  load.end()
  const report = reportOf(await load.next(), (performance.now() - began) / 1000)
  over.abort()
  await breaking
  return {
    tables: [tableOf(samples)],
    outcomes: [...outcomesOf(samples), report.outcome],
    notes: [report.note],
  }
}

export const soak: Part = {
  name: 'soak',
  title: 'Soak',
  about: `Twelve workers pull images, send requests for heads, ranges, lists and missing content, and disconnect before the end. Four times a second, upstream cuts,
stalls, sends wrong bytes or refuses, and app.ci is unavailable now and then. One bad requester of each kind of the
part above runs as well, over ${soakedConnections} connections (not with \`--peaceful\`). Every ${sampleMs / 1000} s the table samples memory after a garbage
collection, open descriptors, and the event-loop delay of the proxy. A rise is that of the least-squares line through the
last three quarters. A minute says little about leaks: \`npm run bench -- soak=10m\` says more.`,
  run,
}
