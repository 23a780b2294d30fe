import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import type { Caller } from '../../../src/oci/image-source.ts'
import { PoolExhausted, TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { createHedge, hedged, type HedgeOptions } from '../../../src/upstream/resilience/hedging.ts'
import { fakeClock, settled, staying } from '../../concurrency/fake-clock.ts'
import { failure } from '../upstream.ts'
const hedgeFor = (options: HedgeOptions = {}) => {
  const clock = fakeClock()
  let hedges = 0
  const hedge = createHedge({ clock, observe: () => void hedges++, ...options })
  const asked: { answer: (value: string) => void; fail: (error: unknown) => void }[] = []
  const discarded: string[] = []
  const ended: AbortSignal[] = []
  const send = async () => {
    const { promise, resolve: answer, reject: fail } = Promise.withResolvers<string>()
    asked.push({ answer, fail })
    return await promise
  }
  const run = (signal?: AbortSignal) =>
    hedge({
      send,
      hedgedSend: async (isOver) => {
        ended.push(isOver)
        return await send()
      },
      discard: (answer) => void discarded.push(answer),
      signal,
    })
  return { clock, run, asked, discarded, ended, hedges: () => hedges }
}

const transientError = (message = 'upstream answered 502') =>
  new TransientUpstreamError('UNAVAILABLE', message)
const absent = new RegistryError('MANIFEST_UNKNOWN', 'absent')

await t.test('a request with an answer in time is sent once, whatever the answer', async (test) => {
  const { clock, run, asked, hedges } = hedgeFor()
  const [answer, error] = [run(), failure(run())]
  await clock.pass(3999)
  asked[0]?.answer('first')
  asked[1]?.fail(transientError())
  test.equal(await answer, 'first')
  test.match(await error, { message: 'upstream answered 502' })
  test.equal(clock.pending(), 0)
  await clock.pass(10_000)
  test.equal(asked.length, 2)
  test.equal(hedges(), 0)
})

await t.test('a late request is sent a second time, and the first answer wins', async (test) => {
  for (const [first, second] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const { clock, run, asked, discarded, hedges } = hedgeFor()
    const answer = run()
    await clock.pass(4000)
    test.equal(asked.length, 2)
    test.equal(hedges(), 1)
    asked[first]?.answer('quick')
    test.equal(await answer, 'quick')
    test.strictSame(discarded, [])
    asked[second]?.answer('slow')
    await settled()
    test.strictSame(discarded, ['slow'], 'nobody waits for it')
  }
})

await t.test('if both answers come at once, one wins and the other is discarded', async (test) => {
  const { clock, run, asked, discarded } = hedgeFor()
  const answer = run()
  await clock.pass(4000)
  for (const { answer: give } of asked) give('same')
  test.equal(await answer, 'same')
  await settled()
  test.strictSame(discarded, ['same'])
})

await t.test(
  'after a transient error of one request the other one counts; if both fail, the error of the first is thrown',
  async (test) => {
    for (const error of [transientError(), new PoolExhausted()]) {
      const { clock, run, asked } = hedgeFor()
      const answer = run()
      await clock.pass(4000)
      asked[1]?.fail(error)
      await settled()
      asked[0]?.answer('first')
      test.equal(await answer, 'first')
    }
    const { clock, run, asked } = hedgeFor()
    const error = failure(run())
    await clock.pass(4000)
    asked[1]?.fail(transientError('second'))
    asked[0]?.fail(transientError('first'))
    test.match(await error, { message: 'first' })
  },
)

await t.test('an absence or a refusal counts as an answer', async (test) => {
  const { clock, run, asked, discarded } = hedgeFor()
  const error = failure(run())
  await clock.pass(4000)
  asked[1]?.fail(absent)
  test.equal(await error, absent)
  asked[0]?.answer('late')
  await settled()
  test.strictSame(discarded, ['late'])
  const early = hedgeFor()
  const earlyError = failure(early.run(new AbortController().signal))
  await early.clock.pass(4000)
  early.asked[0]?.fail(absent)
  test.equal(await earlyError, absent)
  test.equal(early.ended[0]?.aborted, true)
  early.asked[1]?.fail(absent)
  await settled()
  test.strictSame(early.discarded, [])
})

await t.test('an upstream that is slow for all does not get every request twice', async (test) => {
  const { clock, run, asked } = hedgeFor({ maxAtOnce: 2 })
  const answers = [run(), run(), run()]
  await clock.pass(4000)
  test.equal(asked.length, 5)
  for (const { answer } of asked) answer('answer')
  test.strictSame(await Promise.all(answers), ['answer', 'answer', 'answer'])
  void run()
  await clock.pass(4000)
  test.equal(asked.length, 7, 'those that are answered make room')
})

await t.test('no second request is sent after the caller left', async (test) => {
  const { clock, run, asked } = hedgeFor()
  const leaves = new AbortController()
  const answer = run(leaves.signal)
  leaves.abort()
  await clock.pass(4000)
  test.equal(asked.length, 1)
  asked[0]?.answer('anyway')
  test.equal(await answer, 'anyway')
})

await t.test('the clock of the system is the default, and so is no discard', async (test) => {
  staying(test)
  let asked = 0
  const hangs = Promise.withResolvers<string>()
  const send = hedged(
    createHedge({ hedgeAfterMs: 5 }),
    async ({ name }: { name: string; signal?: AbortSignal }) =>
      ++asked === 1 ? await hangs.promise : `${name} ${asked}`,
  )
  test.equal(await send({ name: 'tag' }), 'tag 2')
  hangs.resolve('late')
  await settled()
})

await t.test('a background request is sent once, however late its answer is', async (test) => {
  const clock = fakeClock()
  const answer = Promise.withResolvers<string>()
  let asked = 0
  const send = hedged(createHedge({ clock }), async (_request: Pick<Caller, 'signal' | 'priority'>) => {
    asked++
    return await answer.promise
  })
  const asking = send({ priority: 'background' })
  await clock.pass(60_000)
  answer.resolve('late')
  test.equal(await asking, 'late')
  test.equal(asked, 1)
})
