import { getEventListeners } from 'node:events'
import t from 'tap'
import { RegistryError, unavailable } from '../../../src/oci/errors.ts'
import { UpstreamRateLimited, UpstreamTimeout, TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { createRetry, retried, type RetryOptions } from '../../../src/upstream/resilience/retry.ts'
import { fakeClock, settled, staying } from '../../concurrency/fake-clock.ts'
import { failure, manifestRequest } from '../upstream.ts'
import type { SendUpstream, UpstreamResponse } from '../../../src/upstream/request.ts'

const retryFor = (options: RetryOptions = {}) => {
  const clock = fakeClock()
  let retries = 0
  const retry = createRetry({ clock, random: () => 0.5, observeRetry: () => void retries++, ...options })
  /** When each try was begun. */
  const tried: number[] = []
  /** What becomes of the tries, after so many milliseconds each; all further ones succeed. */
  const run = (outcomes: readonly Error[], takesMs = 0, signal?: AbortSignal) =>
    retry(async () => {
      const error = outcomes[tried.length]
      tried.push(clock.now())
      if (takesMs > 0) await new Promise<void>((resolve) => void clock.after(takesMs, resolve))
      if (error !== undefined) throw error
      return 'answer'
    }, signal)
  return { clock, run, tried, retries: () => retries }
}

const transientError = () => new TransientUpstreamError('UNAVAILABLE', 'upstream answered 502')
const timeout = () => new UpstreamTimeout()
const transientErrors = (count: number) => Array.from({ length: count }, transientError)

await t.test('a transient error is retried, later each time', async (test) => {
  const { clock, run, tried, retries } = retryFor()
  const answer = run(transientErrors(4))
  await clock.pass(1000)
  test.equal(await answer, 'answer')
  test.strictSame(tried, [0, 37.5, 112.5, 262.5, 562.5])
  test.equal(retries(), 4)
  test.equal(clock.pending(), 0)
})

await t.test(
  'a request that fails at once is tried ten times in eight seconds; the last error is thrown',
  async (test) => {
    const { clock, run, tried } = retryFor()
    const outcomes = transientErrors(20)
    const error = failure(run(outcomes))
    await clock.pass(8000)
    test.equal(await error, outcomes[tried.length - 1])
    test.equal(tried.length, 10)
    test.equal(clock.pending(), 0)
  },
)

await t.test(
  'other errors are not retried: an absence, a refusal, a rate limit, an unknown error',
  async (test) => {
    for (const error of [
      new RegistryError('MANIFEST_UNKNOWN', 'absent'),
      unavailable('the robot is refused'),
      new UpstreamRateLimited('slowly', 1),
      new UpstreamRateLimited('full', 1, 'UNAVAILABLE'),
      new Error('a mistake of ours'),
    ]) {
      const { run, tried } = retryFor()
      await test.rejects(run([error]), error)
      test.equal(tried.length, 1)
    }
  },
)

await t.test('while the circuit is open the request waits, and no try is counted', async (test) => {
  const away = transientError()
  const { clock, run, tried, retries } = retryFor({ isCircuitOpen: (error) => error === away })
  const answer = run([transientError(), ...Array<Error>(10).fill(away)])
  await clock.pass(8000)
  test.equal(await answer, 'answer')
  test.equal(retries(), 1, 'a look is no try')
  test.strictSame(tried.slice(0, 4), [0, 37.5, 412.5, 787.5])
  test.equal(tried.length, 12)
  const forEver = retryFor({ isCircuitOpen: () => true, maxElapsedMs: 1000 })
  const error = failure(forEver.run(Array<Error>(10).fill(away)))
  await forEver.clock.pass(8000)
  test.equal(await error, away)
  test.strictSame(forEver.tried, [0, 375, 750])
})

await t.test('attack: a bounded number of requests waits for an open circuit', async (test) => {
  const away = transientError()
  const clock = fakeClock()
  const retry = createRetry({ isCircuitOpen: () => true, maxWaiting: 2, clock, random: () => 0.5 })
  let isBack = false
  const send = async () =>
    await retry(async () => {
      if (isBack) return 'answer'
      throw away
    })
  const [first, second] = [send(), send()]
  await settled()
  test.equal(await failure(send()), away, 'at once')
  isBack = true
  await clock.pass(1000)
  test.strictSame(await Promise.all([first, second]), ['answer', 'answer'])
  isBack = false
  const places = [send(), send()]
  await settled()
  isBack = true
  await clock.pass(1000)
  test.strictSame(await Promise.all(places), ['answer', 'answer'], 'their places are free again')
})

await t.test('a wait leaves no listener behind', async (test) => {
  const { clock, run } = retryFor()
  const { signal } = new AbortController()
  const answer = run(transientErrors(4), 0, signal)
  await clock.pass(1000)
  test.equal(await answer, 'answer')
  test.equal(getEventListeners(signal, 'abort').length, 0)
})

await t.test('no try begins 8 s after the first one', async (test) => {
  const { clock, run, tried } = retryFor()
  const error = failure(run(transientErrors(9), 2579))
  await clock.pass(60_000)
  test.match(await error, { code: 'UNAVAILABLE' })
  test.strictSame(tried, [0, 2616.5, 5270.5, 7999.5])
  const slow = retryFor()
  const slowError = failure(slow.run(transientErrors(9), 2580))
  await slow.clock.pass(60_000)
  test.match(await slowError, { code: 'UNAVAILABLE' })
  test.strictSame(slow.tried, [0, 2617.5, 5272.5])
})

await t.test('a timeout is retried once', async (test) => {
  const { clock, run, tried } = retryFor()
  const error = failure(run([timeout(), transientError(), timeout()]))
  await clock.pass(1000)
  test.equal((await error).status, 504)
  test.equal(tried.length, 3)
})

await t.test('there is no further try after the caller left', async (test) => {
  const before = new AbortController()
  const { run, tried, clock, retries } = retryFor()
  const outcomes = transientErrors(9)
  before.abort()
  test.equal(await failure(run(outcomes, 0, before.signal)), outcomes[0])
  test.equal(tried.length, 1)
  const during = new AbortController()
  const error = failure(run(outcomes, 0, during.signal))
  await settled()
  during.abort()
  test.equal(await error, outcomes[1])
  test.equal(tried.length, 2)
  test.equal(clock.pending(), 0)
  test.equal(retries(), 0)
})

await t.test('retried wraps a send; clock and randomness have defaults', async (test) => {
  staying(test)
  let asked = 0
  const goes = new AbortController()
  const send: SendUpstream = async ({ signal }) => {
    if (++asked === 1) throw transientError()
    test.equal(signal, goes.signal)
    return { status: 200 } as UpstreamResponse
  }
  const asking: SendUpstream = retried(createRetry(), send)
  test.match(await asking({ ...manifestRequest, signal: goes.signal }), { status: 200 })
  test.equal(asked, 2)
})

await t.test('attack: one requester with many waiting requests leaves permits to others', async (test) => {
  const away = transientError()
  const clock = fakeClock()
  const retry = createRetry({ isCircuitOpen: () => true, maxWaiting: 8, clock, random: () => 0.5 })
  let isBack = false
  const send = async (requester: string) =>
    await retry(async () => (isBack ? requester : Promise.reject(away)), undefined, requester)
  const waiting: Promise<string>[] = []
  for (let index = 0; index < 6; index++) waiting.push(send('mallory'))
  await settled()
  test.equal(await failure(send('mallory')), away, 'three quarters are for whoever asks')
  for (let index = 0; index < 2; index++) waiting.push(send(`requester ${index}`))
  await settled()
  test.equal(await failure(send('requester 3')), away, 'all of it is taken')
  isBack = true
  await clock.pass(1000)
  test.strictSame(new Set(await Promise.all(waiting)), new Set(['mallory', 'requester 0', 'requester 1']))
})
