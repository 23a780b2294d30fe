/**
 * Good requesters. Each sends a request every few milliseconds: manifests that are cached, and whole small images. A program of its own,
 * which prints its report at the end.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { percentile } from '../statistics.ts'

export interface GoodInput {
  readonly registry: string
  /** One for each person. */
  readonly tokens: readonly string[]
  /** Paths below /v2/, requested in turn. */
  readonly manifests: readonly string[]
  /** Paths below /v2/: all of a small image, its manifests first. */
  readonly image: readonly string[]
  readonly milliseconds: number
}

export interface GoodReport {
  /** Requests that got the right bytes. */
  readonly whole: number
  /** Requests that got something else or no answer, by kind of failure. */
  readonly failures: Readonly<Record<string, number>>
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Milliseconds between two requests of one person. After a slow answer, requests do not come faster. */
const paceMs = 20
/** One in this many requests is a pull of the whole image. */
const pullEvery = 10
/** Milliseconds after which an answer counts as missing. */
const maxWaitMs = 10_000
const accept = ['application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json'].join(
  ', ',
)

const { registry, tokens, manifests, image, milliseconds } = JSON.parse(
  process.env['BENCH_INPUT'] ?? '{}',
) as GoodInput
const latencies: number[] = []
const failures: Record<string, number> = {}

const get = async (dispatcher: Agent, token: string, path: string): Promise<void> => {
  const began = performance.now()
  let failure: string | undefined
  try {
    const headers = { authorization: `Bearer ${token}`, accept }
    const signal = AbortSignal.timeout(maxWaitMs)
    const response = await request(`${registry}/v2/${path}`, { dispatcher, headers, signal })
    const body = Buffer.from(await response.body.arrayBuffer())
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
    const expected = response.headers['docker-content-digest']
    if (response.statusCode !== 200) failure = String(response.statusCode)
    else if (digest !== expected) failure = 'wrong bytes'
  } catch (error) {
    const { code, name } = error as Error & { code?: unknown }
    failure = typeof code === 'string' ? code : name
  }
  if (failure === undefined) latencies.push(performance.now() - began)
  else failures[failure] = (failures[failure] ?? 0) + 1
}

const work = async (token: string, index: number): Promise<void> => {
  const dispatcher = new Agent({ connections: 1 })
  const ends = performance.now() + milliseconds
  // Not all start at the same moment.
  await sleep((paceMs / tokens.length) * index)
  let next = performance.now()
  for (let turn = index; performance.now() < ends; turn++) {
    const paths = turn % pullEvery === 0 ? image : [manifests[turn % manifests.length] ?? '']
    for (const path of paths) await get(dispatcher, token, path)
    next = Math.max(next + paceMs * paths.length, performance.now())
    await sleep(Math.max(0, next - performance.now()))
  }
  await dispatcher.destroy()
}

await Promise.all(tokens.map(work))
const report: GoodReport = {
  whole: latencies.length,
  failures,
  p50: latencies.length === 0 ? Infinity : percentile(latencies, 50),
  p99: latencies.length === 0 ? Infinity : percentile(latencies, 99),
}
process.stdout.write(`${JSON.stringify(report)}\n`)
