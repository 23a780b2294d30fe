/** Everything at once for as long as it takes, while upstream and app.ci fail now and then: what is kept must not grow. */
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
/** Of these samples the slope is not judged: compiled code and caches come to their size. */
const warmUpShare = 0.25
/**
 * Four faults a second meet a request each; some of these, a redirect to where nobody can follow for one, no proxy can make good. Of
 * the 50 or so things that are done in a second that is two or three: what fails beyond a twentieth, the proxy could have saved.
 */
const wholeShare = 0.95

const blob = /\/blobs\/|^\/(?!v2)/
const manifest = /\/manifests\//

/**
 * One after the other, each for one request. None is a body without a length that ends cleanly too early (`truncateAfterBytes`): to
 * whoever passes it on without hashing it, that is a whole one, and its client finds out.
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
/** Of so many faults of quay, one is an API server that does not answer for as long as one fault lasts. */
const outageEvery = 40

const breakThings = async ({ api }: AppCi, quay: Quay, signal: AbortSignal): Promise<void> => {
  for (let turn = 0; !signal.aborted; turn++) {
    // A rule that met its request stays in the list: without this it would grow.
    quay.clearFaults()
    quay.fault(faults[turn % faults.length]!)
    api.fault(turn % outageEvery === outageEvery - 1 ? { kind: 'status' } : { kind: 'none' })
    await sleep(faultMs, undefined, { signal }).catch(() => undefined)
  }
}

/** The sandbox keeps every request for tests to count; here they would be all that grows. */
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
    // What the workers and their faults hold at one moment or another.
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
    note: `In ${seconds.toFixed(0)} s, ${done} things were done: ${whole} ended well, ${statuses.join(', ') || 'none'} were answered with an error, ${cut} were cut.`,
    outcome: mustHold(
      `nobody gets wrong bytes, and ${percent(wholeShare)} of things end well`,
      [`${wrong.length} wrong, ${whole} whole of ${done}`, ...wrong.slice(0, 2)].join('; '),
      wrong.length === 0 && whole >= done * wholeShare,
    ),
  }
}

/** Fewer than where one of them is measured: all of them run at once, and for as long as the soak. */
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
  about: `Twelve workers pull images, ask for heads, lists, ranges and what is not there, and leave in the middle, while upstream cuts,
stalls, lies and refuses four times a second and app.ci is away now and then. Beside them one bad requester of each kind does what it does in
the part above, over ${soakedConnections} connections (not with \`--peaceful\`). Every ${sampleMs / 1000} s: memory after a garbage
collection, open descriptors, and the delay of the event loop within the proxy. A rise is that of the least-squares line through the
last three quarters. A minute says little about leaks: \`npm run bench -- soak=10m\` says more.`,
  run,
}
