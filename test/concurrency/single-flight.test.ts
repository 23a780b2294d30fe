import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import { sharedErrors, UpstreamRateLimited } from '../../src/upstream/errors.ts'
import { createSingleFlight } from '../../src/concurrency/single-flight.ts'
import type { SingleFlightRequest } from '../../src/concurrency/single-flight.ts'
import { failure, told } from '../upstream/upstream.ts'

const setUp = () => {
  let time = 1000
  const share = createSingleFlight<string>({ ...sharedErrors, now: () => time })
  const gates: PromiseWithResolvers<string>[] = []
  const load = async () => {
    const gate = Promise.withResolvers<string>()
    gates.push(gate)
    return await gate.promise
  }
  return {
    gates,
    pass: (milliseconds: number) => void (time += milliseconds),
    share: async (more: Partial<SingleFlightRequest<string>> = {}) =>
      await share({ key: 'key', requester: 'alice', load, ...more }),
  }
}
/** Lets everything happen that does not wait for anything. */
const settled = async () => await new Promise((resolve) => setImmediate(resolve))

await t.test('many load, one question goes out', async (test) => {
  const { share, gates } = setUp()
  const all = Array.from({ length: 200 }, async () => await share())
  test.equal(gates.length, 1)
  gates[0]?.resolve('answer')
  const answers = await Promise.all(all)
  test.strictSame(answers[0], { answer: 'answer', source: 'live' })
  test.ok(answers.slice(1).every(({ answer, source }) => answer === 'answer' && source === 'shared'))
})

await t.test('keys keep questions apart', async (test) => {
  const { share, gates } = setUp()
  const [one, two] = [share({ key: 'one' }), share({ key: 'two' })]
  gates[1]?.resolve('2')
  gates[0]?.resolve('1')
  test.equal((await one).answer, '1')
  test.equal((await two).answer, '2')
})

await t.test('an answer is not kept, and a failure is not either', async (test) => {
  const { share, gates } = setUp()
  const first = share()
  gates[0]?.resolve('first')
  await first
  const second = Promise.all([share(), share()])
  gates[1]?.reject(new Error('second'))
  await test.rejects(second, new Error('second'))
  const third = share()
  gates[2]?.resolve('third')
  test.strictSame(await third, { answer: 'third', source: 'live' })
})

await t.test('who leaves is let go at once, be it who asked first, and nobody else', async (test) => {
  const { share, gates } = setUp()
  const controllers = Array.from({ length: 3 }, () => new AbortController())
  const [first, second, third] = controllers.map(async ({ signal }) => await share({ signal }))
  controllers[0]?.abort()
  controllers[2]?.abort()
  for (const left of [first, third])
    test.equal(told(await failure(left ?? Promise.resolve())), '503 UNAVAILABLE 5')
  const late = share()
  test.equal(gates.length, 1, 'the question goes on')
  gates[0]?.resolve('answer')
  test.equal((await second)?.answer, 'answer')
  test.equal((await late).answer, 'answer')
})

await t.test('who has left already asks nothing', async (test) => {
  const { share, gates } = setUp()
  const error = await failure(share({ signal: AbortSignal.abort() }))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.equal(gates.length, 0)
})

await t.test('all have left, and it fails: the process does not end', async (test) => {
  const { share, gates } = setUp()
  const unhandled: unknown[] = []
  const note = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', note)
  test.teardown(() => void process.off('unhandledRejection', note))
  const controller = new AbortController()
  const left = failure(share({ signal: controller.signal }))
  controller.abort()
  await left
  gates[0]?.reject(new Error('too late'))
  await settled()
  await settled()
  test.strictSame(unhandled, [])
  void share()
  test.equal(gates.length, 2, 'and the next asks anew')
})

await t.test('a listener on a signal goes with the question', async (test) => {
  const { share, gates } = setUp()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  const shared = share({ signal })
  test.equal(listeners, 1)
  gates[0]?.resolve('answer')
  await shared
  test.equal(listeners, 0)
})

const appliesTo = (error: unknown) => error instanceof RegistryError
const never = 1_000_000

await t.test('something else fallback, where there is no answer', async (test) => {
  const { share, gates } = setUp()
  const fallback = { answer: 'old', appliesTo, maxWaitMs: never }
  const all = [share({ fallback }), share({ fallback })]
  const without = failure(share())
  gates[0]?.reject(new RegistryError('UNAVAILABLE', 'away'))
  for (const answered of await Promise.all(all)) test.strictSame(answered, { answer: 'old', source: 'stale' })
  test.equal(told(await without), '503 UNAVAILABLE')
  const refused = share({ fallback })
  gates[1]?.reject(new TypeError('not covered'))
  await test.rejects(refused, new TypeError('not covered'))
  const answered = share({ fallback })
  gates[2]?.resolve('new')
  test.strictSame(await answered, { answer: 'new', source: 'live' })
})

await t.test('something else fallback, where the answer does not come in time', async (test) => {
  const { share, gates, pass } = setUp()
  const patient = share()
  const soon = share({ fallback: { answer: 'old', appliesTo, maxWaitMs: 5 } })
  test.strictSame(await soon, { answer: 'old', source: 'stale' })
  pass(never + 1)
  const late = share({ fallback: { answer: 'old', appliesTo, maxWaitMs: never } })
  test.strictSame(await late, { answer: 'old', source: 'stale' }, 'counted from the question')
  test.equal(gates.length, 1, 'which goes on')
  gates[0]?.resolve('new')
  test.strictSame(await patient, { answer: 'new', source: 'live' })
})

await t.test('attack: one asks more than upstream grants, and first what others want', async (test) => {
  const { share, gates } = setUp()
  const limit = new UpstreamRateLimited('you load for more at once than is granted', 5)
  const fallback = { answer: 'old', appliesTo, maxWaitMs: never }
  const greedy = [share({ requester: 'greedy' }), share({ requester: 'greedy' })].map(failure)
  const greedyKnowing = share({ requester: 'greedy', fallback })
  const others = ['bob', 'carol', 'bob'].map(async (requester) => await share({ requester, fallback }))
  test.equal(gates.length, 1)
  gates[0]?.reject(limit)
  for (const error of await Promise.all(greedy)) test.equal(error, limit)
  test.strictSame(await greedyKnowing, { answer: 'old', source: 'stale' })
  await settled()
  test.equal(gates.length, 2, 'others load on their own account, once for all of them')
  gates[1]?.resolve('new')
  test.strictSame(
    (await Promise.all(others)).map(({ answer }) => answer),
    ['new', 'new', 'new'],
  )
})

await t.test('a limit of everybody is found out soon', async (test) => {
  const { share, gates } = setUp()
  const limit = new UpstreamRateLimited('the upstream registry limits requests now', 5)
  const all = Array.from(
    { length: 20 },
    async (_, index) => await failure(share({ requester: String(index) })),
  )
  const known = share({ requester: 'known', fallback: { answer: 'old', appliesTo, maxWaitMs: never } })
  for (let round = 0; round < 3; round++) {
    gates[round]?.reject(limit)
    await settled()
  }
  for (const error of await Promise.all(all)) test.equal(error, limit)
  test.strictSame(await known, { answer: 'old', source: 'stale' })
  test.equal(gates.length, 3)
})

await t.test('who leaves between two rounds asks nothing', async (test) => {
  const { share, gates } = setUp()
  const controller = new AbortController()
  const load = async () => {
    // before those who wait for it hear of it
    controller.abort()
    throw new UpstreamRateLimited('too much', 5)
  }
  const greedy = failure(share({ requester: 'greedy', load }))
  const error = await failure(share({ requester: 'bob', signal: controller.signal }))
  test.equal(told(error), '503 UNAVAILABLE 5')
  await greedy
  test.equal(gates.length, 0)
})
