/** Many clients that pull the same image at once. A program of its own, which prints its report when all have ended. */
import { setTimeout as sleep } from 'node:timers/promises'
import { pull, type Pulled } from '../../../src/sandbox/pull.ts'

export interface PullsInput {
  readonly registry: string
  readonly repository: string
  readonly reference: string
  /** One for each client. */
  readonly tokens: readonly string[]
}

export interface PullsReport {
  readonly whole: number
  /** The failures, each once. */
  readonly failures: readonly string[]
  /** Each digest and each sum of bytes that a client ended with: one of each if all got the same. */
  readonly digests: readonly string[]
  readonly bytes: readonly number[]
  readonly seconds: number
  /** Retries: after 429 or 503, or because a client could not connect in time. */
  readonly repeats: number
}

/** Retries, as containers/image makes after a 429, at the time in Retry-After. Here also after a 503. */
const maxRepeats = 5
let repeats = 0
const fetchOnce = globalThis.fetch
globalThis.fetch = async (...asked) => {
  for (let repeat = 0; ; repeat++) {
    const response = await fetchOnce(...asked).catch((error: Error) => {
      // 1200 connections at once to one process. Clients in Go wait three times as long for a connection as fetch does.
      const isSlow = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'UND_ERR_CONNECT_TIMEOUT'
      if (isSlow && repeat < maxRepeats) return undefined
      throw error
    })
    if (response === undefined) {
      repeats++
      continue
    }
    const retryAfter = response.headers.get('retry-after')
    if (response.ok || retryAfter === null || repeat === maxRepeats) return response
    await response.body?.cancel()
    repeats++
    await sleep(Number(retryAfter) * 1000)
  }
}

const { tokens, ...image } = JSON.parse(process.env['BENCH_INPUT'] ?? '{}') as PullsInput
const began = performance.now()
const outcomes = await Promise.allSettled(
  tokens.map(async (password, index) => await pull({ ...image, username: `person-${index}`, password })),
)
const seconds = (performance.now() - began) / 1000
const pulled = outcomes
  .filter((outcome): outcome is PromiseFulfilledResult<Pulled> => outcome.status === 'fulfilled')
  .map(({ value }) => value)
const failures = outcomes
  .filter((outcome) => outcome.status === 'rejected')
  .map(({ reason }) => String((reason as Error).cause ?? reason))
const report: PullsReport = {
  whole: pulled.length,
  failures: [...new Set(failures)],
  digests: [...new Set(pulled.map(({ digest }) => digest))],
  bytes: [...new Set(pulled.map(({ bytes }) => bytes))],
  seconds,
  repeats,
}
process.stdout.write(`${JSON.stringify(report)}\n`)
