/**
 * The restricted index: how long a new proxy needs to follow all restricted images, with the requests to quay and the costs of the proxy.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseDuration } from '../../../src/config/value-parsers.ts'
import type { CollationName } from '../../../src/sandbox/quay/collation.ts'
import type { RequestCounts } from '../../../src/sandbox/quay/request-kinds.ts'
import { megabytes, mustHold, type Outcome, type Part, type Section, type Setting } from '../section.ts'
import { startAppCi } from '../system/app-ci.ts'
import type { LargeQuayInput, LargeQuayReport } from '../system/large-quay.ts'
import { repository } from '../system/origin.ts'
import { peakRssBytes, rssBytes } from '../system/proc.ts'
import { scratch, startClient } from '../system/processes.ts'
import { robot, startProxy, type Proxy } from '../system/proxy.ts'
import { progressIn, progressInLog, type Progress } from '../system/restricted-index.ts'

type Size = Pick<LargeQuayInput, 'tags' | 'restrictedLive' | 'restrictedDated'>

const full: Size = { tags: 1_000_000, restrictedLive: 5000, restrictedDated: 20_000 }
const tenth: Size = { tags: 100_000, restrictedLive: 500, restrictedDated: 2000 }
/** For a tenth of QCI: 1000 pages at five a second are three and a half minutes. */
const maxWaitMs = 8 * 60_000
const lookEveryMs = 500
const collations: readonly CollationName[] = ['bytes', 'text']

interface Measured {
  readonly collation: CollationName
  readonly buildSeconds: number
  readonly readySeconds: number
  /** Undefined if it was not complete in time, or if there is no index. */
  readonly wholeSeconds: number | undefined
  readonly progress: Progress
  readonly atReady: RequestCounts
  readonly atEnd: RequestCounts
  readonly restBytes: number
  readonly peakBytes: number
}

/** @param patience milliseconds */
const measure = async (
  { main, say }: Setting,
  size: Size,
  collation: CollationName,
  patience: number,
): Promise<Measured> => {
  await using directory = await scratch()
  await using appCi = await startAppCi()
  const input: LargeQuayInput = { repository, robot, ...size, collation }
  await using quay = startClient<LargeQuayReport>('../system/large-quay.ts', input)
  const { url, countsUrl, buildSeconds } = await quay.next()
  const counts = async () => (await (await fetch(countsUrl)).json()) as RequestCounts
  say(`${collation}: quay has its ${size.tags} tags`)
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  await using proxy = await startProxy({
    main,
    directory: directory.path,
    appCi,
    upstream: url,
    limits: 'quay',
    maxWaitMs: patience,
  })
  const readySeconds = seconds()
  const atReady = await counts()
  say(`${collation}: ready after ${readySeconds.toFixed(1)} s`)
  const progress = await untilWhole(proxy, patience)
  return {
    collation,
    buildSeconds,
    readySeconds,
    wholeSeconds: progress === 'whole' ? seconds() : undefined,
    progress,
    atReady,
    atEnd: await counts(),
    restBytes: rssBytes(proxy.pid),
    peakBytes: peakRssBytes(proxy.pid),
  }
}

/** The last progress of the index; returns at once if the proxy reports none. */
const untilWhole = async (proxy: Proxy, patience: number): Promise<Progress> => {
  const deadline = performance.now() + patience
  for (;;) {
    const response = await fetch(`${proxy.url}/readyz?verbose`, { headers: { accept: 'application/json' } })
    const told = [progressIn(await response.text()), progressInLog(proxy.log)]
    if (told.includes('whole')) return 'whole'
    if (told.every((one) => one === 'none')) return 'none'
    if (performance.now() > deadline) return 'partial'
    await sleep(lookEveryMs)
  }
}

const inSeconds = (value: number): string => `${value.toFixed(1)} s`

const wholeText = ({ progress, wholeSeconds }: Measured): string => {
  if (wholeSeconds !== undefined) return inSeconds(wholeSeconds)
  return progress === 'none' ? 'n/a' : 'not in time'
}

const kinds = ['tags', 'manifests', 'referrers', 'blobs', 'auth', 'ping', 'limited'] as const

const run = async (setting: Setting): Promise<Section> => {
  const { argument } = setting
  const [size, patience] =
    argument === undefined ? [tenth, maxWaitMs] : [full, parseDuration(argument) ?? maxWaitMs]
  const measured: Measured[] = []
  for (const collation of collations) measured.push(await measure(setting, size, collation, patience))
  const requests = measured.flatMap(({ collation, atReady, atEnd }) =>
    [atReady, atEnd].map((counts, index) => [
      collation,
      index === 0 ? 'when ready' : 'in the end',
      ...kinds.map((kind) => String(counts[kind])),
    ]),
  )
  const outcomes = measured.map(({ collation, atEnd }): Outcome => {
    const all = kinds.reduce((sum, kind) => sum + (kind === 'limited' ? 0 : atEnd[kind]), 0)
    return mustHold(
      `quay answers no request 429 (${collation})`,
      `${atEnd.limited} of ${all}`,
      atEnd.limited === 0,
    )
  })
  return {
    tables: [
      {
        columns: ['order of tags', 'ready', 'whole', 'memory in the end', 'at most'],
        rows: measured.map((one) => [
          one.collation,
          inSeconds(one.readySeconds),
          wholeText(one),
          megabytes(one.restBytes),
          megabytes(one.peakBytes),
        ]),
      },
      {
        columns: ['order of tags', 'requests of quay', ...kinds.slice(0, -1), 'answered 429'],
        rows: requests,
      },
    ],
    outcomes,
    notes: [
      `${size.tags} tags, ${size.restrictedLive} live ones of restricted namespaces, ${size.restrictedDated} dated copies of such.`,
    ],
  }
}

export const restrictedIndex: Part = {
  name: 'restricted-index',
  title: 'The restricted index from nothing',
  about: `A proxy starts with a quay of very many tags and the rate limits of quay.io, and reads which images are restricted. The table shows the time until
\`/readyz\` answers 200, the time until the index is complete, the requests for it, and the memory. Tags are sorted by bytes, where the
walk can jump, or as text, where it cannot. \`n/a\`: the proxy reports no index. Without an argument, the registry has a tenth of QCI's tags.`,
  run,
}
