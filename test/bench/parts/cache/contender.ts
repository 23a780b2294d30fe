/** One of the measured programs: its CPU time for a gigabyte, and its time to the first byte. */
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { firstByteMs } from '../../clients/first-byte.ts'
import { transfer } from '../../clients/transfer.ts'
import { milliseconds, times, type Table } from '../../section.ts'
import { median, percentile } from '../../statistics.ts'
import type { File } from '../../system/origin.ts'
import { cpuSecondsOf } from '../../system/proc.ts'

export interface Contender {
  readonly label: string
  readonly url: string
  readonly pid: number
  /** Path and query of a file, unless it is that at the origin. */
  readonly pathOf?: (file: File) => Promise<string>
}

export interface Measured {
  readonly label: string
  /** CPU seconds per GB, of each transfer. */
  readonly seconds: number[]
  /** Milliseconds to the first byte, of each small blob. */
  readonly firstBytes: readonly number[]
}

export interface Work {
  readonly token: string
  readonly ca: string
  readonly large: readonly File[]
  readonly small: readonly File[]
}

const urlOf = async ({ url, pathOf }: Contender, file: File): Promise<string> =>
  url + (pathOf === undefined ? file.path : await pathOf(file))

/** The small files come first, so that nothing of the start of a program is in the cost of a gigabyte. All of them take turns at each large file, the first of which warms up. */
export const measureAll = async (
  contenders: readonly Contender[],
  { token, ca, large, small }: Work,
): Promise<readonly Measured[]> => {
  const all: { readonly contender: Contender; readonly measured: Measured }[] = []
  for (const contender of contenders) {
    const firstBytes = await firstBytesOf(contender, small, token, ca)
    all.push({ contender, measured: { label: contender.label, seconds: [], firstBytes } })
  }
  for (const [round, file] of large.entries())
    for (const { contender, measured } of all) {
      const url = await urlOf(contender, file)
      const fetch = async () => await transfer(url, token, file.digest, ca)
      const seconds = await cpuSecondsOf(contender.pid, fetch)
      if (round > 0) measured.seconds.push((seconds / file.bytes) * 1e9)
    }
  return all.map(({ measured }) => measured)
}

/** The first tenth warms up. */
const firstBytesOf = async (
  contender: Contender,
  files: readonly File[],
  token: string,
  ca: string,
): Promise<readonly number[]> => {
  const options = { keepAlive: true, maxSockets: 1 }
  const agent = contender.url.startsWith('https:')
    ? new https.Agent({ ...options, ca: await readFile(ca) })
    : new http.Agent(options)
  const seen: number[] = []
  for (const file of files) seen.push(await firstByteMs(agent, await urlOf(contender, file), token, file))
  agent.destroy()
  return seen.slice(files.length / 10)
}

export const tableOf = (title: string, measured: readonly Measured[]): Table => ({
  columns: [title, 'CPU s/GB', 'least', 'most', 'of nginx', 'first byte p50', 'p99'],
  rows: measured.map(({ label, seconds, firstBytes }) => [
    label,
    median(seconds).toFixed(2),
    Math.min(...seconds).toFixed(2),
    Math.max(...seconds).toFixed(2),
    times(median(seconds) / median(measured[0]!.seconds)),
    milliseconds(percentile(firstBytes, 50)),
    milliseconds(percentile(firstBytes, 99)),
  ]),
})

/** Of the second one, the proxy, to the first one. */
export const ratioOf = ([nginx, proxy]: readonly Measured[]): number =>
  median(proxy!.seconds) / median(nginx!.seconds)
