/**
 * All kinds of requests of clients, to a proxy whose upstream fails now and then. A program of its own, which prints its report on SIGTERM.
 * Failures are expected; bytes of another digest are not.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { pull, PullError } from '../../../src/sandbox/pull.ts'

export interface LoadInput {
  readonly registry: string
  /** `ocp/4.5` and its tag. */
  readonly images: readonly (readonly [repository: string, tag: string])[]
  readonly tokens: readonly string[]
  /** A blob of a megabyte or more. */
  readonly large: string
  readonly workers: number
  /** Milliseconds between two actions of a worker. */
  readonly pauseMs: number
}

export interface LoadReport {
  readonly done: number
  /** Actions that ended as they do when nothing fails. */
  readonly whole: number
  /** Answers with an error, by status. */
  readonly refused: Readonly<Record<string, number>>
  /** Connections that were cut in the middle. */
  readonly cut: number
  /** Bodies of another digest, each with a description. */
  readonly wrong: readonly string[]
}

const input = JSON.parse(process.env['BENCH_INPUT'] ?? '{}') as LoadInput
const { registry, images, tokens, large, workers, pauseMs } = input
const refused: Record<string, number> = {}
const wrong: string[] = []
const counts = { done: 0, whole: 0, cut: 0 }

type Act = (authorization: string, image: (typeof images)[number], token: string) => Promise<void>

const ask = async (path: string, init: RequestInit, expected: number): Promise<Response> => {
  const response = await fetch(`${registry}/v2/${path}`, { ...init, signal: AbortSignal.timeout(60_000) })
  if (response.status === expected) return response
  await response.body?.cancel()
  throw new PullError(path, response.status)
}

const askAll = async (path: string, init: RequestInit, expected = 200): Promise<Buffer> =>
  Buffer.from(await (await ask(path, init, expected)).arrayBuffer())

const indexType = 'application/vnd.oci.image.index.v1+json'

/** Actions, in turn. Pulls make most of the bytes. */
const acts: readonly Act[] = [
  async (_authorization, [repository, reference], password) =>
    void (await pull({ registry, repository, reference, username: 'bench', password })),
  async (authorization, [repository, tag]) =>
    void (await askAll(`${repository}/manifests/${tag}`, {
      method: 'HEAD',
      headers: { authorization, accept: indexType },
    })),
  async (authorization) => void (await askAll('openshift/ci/tags/list?n=50', { headers: { authorization } })),
  async (authorization) => {
    const headers = { authorization, range: 'bytes=1000-1999' }
    const { length } = await askAll(`openshift/ci/blobs/${large}`, { headers }, 206)
    if (length !== 1000) wrong.push(`${length} bytes of a range of 1000`)
  },
  // A client that disconnects before the end.
  async (authorization) => {
    const response = await ask(`openshift/ci/blobs/${large}`, { headers: { authorization } }, 200)
    const reader = response.body!.getReader()
    await reader.read()
    await reader.cancel()
  },
  async (authorization) =>
    void (await askAll(`openshift/ci/referrers/${large}`, { headers: { authorization } })),
  async (authorization, [repository]) => {
    const headers = { authorization, accept: indexType }
    await askAll(`${repository}/manifests/never-promoted`, { headers }, 404)
  },
  async () => void (await askAll('ocp/4.5/manifests/base', {}, 401)),
]

const work = async (worker: number): Promise<never> => {
  for (let turn = worker; ; turn++) {
    const token = tokens[turn % tokens.length]!
    try {
      await acts[turn % acts.length]!(`Bearer ${token}`, images[turn % images.length]!, token)
      counts.whole++
    } catch (error) {
      if (!(error instanceof PullError)) counts.cut++
      else if (error.message.includes(' was announced')) wrong.push(error.message)
      else refused[error.status] = (refused[error.status] ?? 0) + 1
    }
    counts.done++
    await sleep(pauseMs)
  }
}

process.once('SIGTERM', () => {
  const report: LoadReport = { ...counts, refused, wrong }
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
})

await Promise.all(Array.from({ length: workers }, async (_, worker) => await work(worker)))
