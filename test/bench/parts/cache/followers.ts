/** Readers that follow a fill: how soon a late one begins, and what five hundred of them take. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SlowReadersInput, SlowReadersReport } from '../../clients/slow-readers.ts'
import { transfer } from '../../clients/transfer.ts'
import {
  atMost,
  megabytes,
  milliseconds,
  mustHold,
  type Outcome,
  type Setting,
  type Table,
} from '../../section.ts'
import { percentile } from '../../statistics.ts'
import type { AppCi } from '../../system/app-ci.ts'
import { startOrigin } from '../../system/origin.ts'
import { rssBytes } from '../../system/proc.ts'
import { startClient } from '../../system/processes.ts'
import { startProxy } from '../../system/proxy.ts'

export const fillBytes = 1e9
/** Of the origin: 1 GB takes 25 s, of which the last tenth takes 2.5 s. */
export const bytesPerSecond = 40e6
export const lateReaders = 20
/** Of another blob, which is stored before. */
const storedBytes = 20e6
export const followers = 500

type Bench = Setting & { readonly directory: string; readonly appCi: AppCi }

/** Bytes of the one fill in a cache; undefined if there is none. */
const filledBytes = (cache: string): number | undefined => {
  try {
    const [name] = readdirSync(join(cache, 'fills'))
    return name === undefined ? undefined : statSync(join(cache, 'fills', name)).size
  } catch {
    // Renamed between the two calls.
    return undefined
  }
}

/** A new connection each time, which ends after the first byte: the rest of a gigabyte is of no interest. */
const firstByteOf = async (url: string, token: string): Promise<number> => {
  const leave = new AbortController()
  const began = performance.now()
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(url, { headers, signal: leave.signal })
  await response.body!.getReader().read()
  const elapsed = performance.now() - began
  leave.abort()
  return elapsed
}

/** One URL after the other, so that all of them see the same load. */
const firstBytesOf = async (urls: readonly string[], token: string): Promise<readonly number[][]> => {
  const seen: number[][] = urls.map(() => [])
  for (let reader = 0; reader < lateReaders; reader++)
    for (const [index, url] of urls.entries()) seen[index]!.push(await firstByteOf(url, token))
  return seen
}

export const measureFollowers = async (
  bench: Bench,
): Promise<{ readonly table: Table; readonly outcomes: readonly Outcome[] }> => {
  const { main, directory, appCi, say } = bench
  await using origin = await startOrigin(directory, {
    name: 'slow-origin',
    largeBytes: fillBytes,
    bytesPerSecond,
  })
  const cache = join(directory, 'cache-followers')
  await using proxy = await startProxy({
    main,
    directory,
    name: 'proxy-followers',
    appCi,
    upstream: origin.url,
    flags: [`--cache-dir=${cache}`, '--cache-bytes=20Gi'],
  })
  const token = appCi.longToken
  const url = proxy.url + origin.large.path
  const stored = await origin.add(storedBytes)
  await transfer(proxy.url + stored.path, token, stored.digest)
  const idle = rssBytes(proxy.pid)
  say(`${followers} followers of a fill`)
  const first = transfer(url, token, origin.large.digest)
  // Told once, below; until then a failure is no unhandled one.
  first.catch(() => undefined)
  while (filledBytes(cache) === undefined) await sleep(5)
  const { path, file } = origin.large
  const input: SlowReadersInput = {
    port: Number(new URL(proxy.url).port),
    path,
    token,
    file,
    count: followers,
  }
  const readers = startClient<SlowReadersReport>('slow-readers.ts', input)
  await readers.next()
  let most = 0
  while ((filledBytes(cache) ?? fillBytes) < 0.8 * fillBytes) {
    most = Math.max(most, rssBytes(proxy.pid))
    await sleep(250)
  }
  readers.end()
  const report = await readers.next()
  await readers[Symbol.asyncDispose]()
  say('late followers')
  while ((filledBytes(cache) ?? fillBytes) < 0.9 * fillBytes) await sleep(5)
  const [late = [], meanwhile = []] = await firstBytesOf([url, proxy.url + stored.path], token)
  const isFilling = filledBytes(cache) !== undefined
  await first
  while (filledBytes(cache) !== undefined) await sleep(20)
  const [idleHits = []] = await firstBytesOf([url], token)
  const of = (times: readonly number[]) => [50, 99].map((rank) => milliseconds(percentile(times, rank)))
  return {
    table: {
      columns: ['1 GB, first byte', 'p50', 'p99'],
      rows: [
        ['follower that joins at 90 % of a fill', ...of(late)],
        ['hit of another blob meanwhile', ...of(meanwhile)],
        ['hit afterwards', ...of(idleHits)],
      ],
    },
    outcomes: [
      mustHold(
        'a follower that joins at 90 % of a fill has its first byte as soon as a hit has meanwhile',
        `${milliseconds(percentile(late, 50))} and ${milliseconds(percentile(meanwhile, 50))} at p50${isFilling ? '' : '; the fill had ended'}`,
        isFilling && percentile(late, 50) <= 1.5 * percentile(meanwhile, 50) + 1,
      ),
      atMost({
        what: `memory above idle with ${followers} followers of one fill`,
        limit: 150e6,
        measured: most - idle,
        format: megabytes,
      }),
      mustHold(
        'the followers are served, with the right bytes',
        `${report.begun} of ${followers} begun, ${report.broken} broken, ${report.wrong} with wrong bytes`,
        report.begun === followers && report.broken === 0 && report.wrong === 0,
      ),
    ],
  }
}
