import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import { sharedErrors, UpstreamRateLimited } from '../../src/upstream/errors.ts'
import { createSingleFlight } from '../../src/concurrency/single-flight.ts'
import type { SingleFlightRequest } from '../../src/concurrency/single-flight.ts'
import { failure, told } from '../upstream/upstream.ts'

const setUp = () => {
  let time = 1000
  const share = createSingleFlight<string>({ ...sharedErrors, now: () => time })
  const loads: PromiseWithResolvers<string>[] = []
  const load = async () => {
    const loading = Promise.withResolvers<string>()
    loads.push(loading)
    return await loading.promise
  }
  return {
    loads,
    pass: (milliseconds: number) => void (time += milliseconds),
    share: async (more: Partial<SingleFlightRequest<string>> = {}) =>
      await share({ key: 'key', requester: 'alice', load, ...more }),
  }
}
/** Lets everything happen that does not wait for anything. */
const settled = async () => await new Promise((resolve) => setImmediate(resolve))

await t.test('many callers cause one load', async (test) => {
  const { share, loads } = setUp()
  const all = Array.from({ length: 200 }, async () => await share())
  test.equal(loads.length, 1)
  loads[0]?.resolve('answer')
  const answers = await Promise.all(all)
  test.strictSame(answers[0], { answer: 'answer', source: 'live' })
  test.ok(answers.slice(1).every(({ answer, source }) => answer === 'answer' && source === 'shared'))
})

await t.test('each key has a load of its own', async (test) => {
  const { share, loads } = setUp()
  const [one, two] = [share({ key: 'one' }), share({ key: 'two' })]
  loads[1]?.resolve('2')
  loads[0]?.resolve('1')
  test.equal((await one).answer, '1')
  test.equal((await two).answer, '2')
})

await t.test('neither an answer nor a failure is cached', async (test) => {
  const { share, loads } = setUp()
  const first = share()
  loads[0]?.resolve('first')
  await first
  const second = Promise.all([share(), share()])
  loads[1]?.reject(new Error('second'))
  await test.rejects(second, new Error('second'))
  const third = share()
  loads[2]?.resolve('third')
  test.strictSame(await third, { answer: 'third', source: 'live' })
})

await t.test(
  'a caller that leaves is released at once, even the first one; the others wait on',
  async (test) => {
    const { share, loads } = setUp()
    const controllers = Array.from({ length: 3 }, () => new AbortController())
    const [first, second, third] = controllers.map(async ({ signal }) => await share({ signal }))
    controllers[0]?.abort()
    controllers[2]?.abort()
    for (const left of [first, third])
      test.equal(told(await failure(left ?? Promise.resolve())), '503 UNAVAILABLE 5')
    const late = share()
    test.equal(loads.length, 1, 'the load goes on')
    loads[0]?.resolve('answer')
    test.equal((await second)?.answer, 'answer')
    test.equal((await late).answer, 'answer')
  },
)

await t.test('a caller that has left already starts no load', async (test) => {
  const { share, loads } = setUp()
  const error = await failure(share({ signal: AbortSignal.abort() }))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.equal(loads.length, 0)
})

await t.test('a failure after all callers have left does not end the process', async (test) => {
  const { share, loads } = setUp()
  const unhandled: unknown[] = []
  const note = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', note)
  test.teardown(() => void process.off('unhandledRejection', note))
  const controller = new AbortController()
  const left = failure(share({ signal: controller.signal }))
  controller.abort()
  await left
  loads[0]?.reject(new Error('too late'))
  await settled()
  await settled()
  test.strictSame(unhandled, [])
  void share()
  test.equal(loads.length, 2, 'and the next asks anew')
})

await t.test('the listener on a signal is removed with the call', async (test) => {
  const { share, loads } = setUp()
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
  loads[0]?.resolve('answer')
  await shared
  test.equal(listeners, 0)
})

const appliesTo = (error: unknown) => error instanceof RegistryError
const never = 1_000_000

await t.test('the fallback is used if the load fails', async (test) => {
  const { share, loads } = setUp()
  const fallback = { answer: 'old', appliesTo, maxWaitMs: never }
  const all = [share({ fallback }), share({ fallback })]
  const without = failure(share())
  loads[0]?.reject(new RegistryError('UNAVAILABLE', 'away'))
  for (const answered of await Promise.all(all)) test.strictSame(answered, { answer: 'old', source: 'stale' })
  test.equal(told(await without), '503 UNAVAILABLE')
  const refused = share({ fallback })
  loads[1]?.reject(new TypeError('not covered'))
  await test.rejects(refused, new TypeError('not covered'))
  const answered = share({ fallback })
  loads[2]?.resolve('new')
  test.strictSame(await answered, { answer: 'new', source: 'live' })
})

await t.test('the fallback is used if the load takes too long', async (test) => {
  const { share, loads, pass } = setUp()
  const patient = share()
  const soon = share({ fallback: { answer: 'old', appliesTo, maxWaitMs: 5 } })
  test.strictSame(await soon, { answer: 'old', source: 'stale' })
  pass(never + 1)
  const late = share({ fallback: { answer: 'old', appliesTo, maxWaitMs: never } })
  test.strictSame(await late, { answer: 'old', source: 'stale' }, 'counted from the question')
  test.equal(loads.length, 1, 'which goes on')
  loads[0]?.resolve('new')
  test.strictSame(await patient, { answer: 'new', source: 'live' })
})

await t.test('attack: a requester over the rate limit starts what others want', async (test) => {
  const { share, loads } = setUp()
  const limit = new UpstreamRateLimited('you load for more at once than is granted', 5)
  const fallback = { answer: 'old', appliesTo, maxWaitMs: never }
  const greedy = [share({ requester: 'greedy' }), share({ requester: 'greedy' })].map(failure)
  const greedyKnowing = share({ requester: 'greedy', fallback })
  const others = ['bob', 'carol', 'bob'].map(async (requester) => await share({ requester, fallback }))
  test.equal(loads.length, 1)
  loads[0]?.reject(limit)
  for (const error of await Promise.all(greedy)) test.equal(error, limit)
  test.strictSame(await greedyKnowing, { answer: 'old', source: 'stale' })
  await settled()
  test.equal(loads.length, 2, 'others load on their own account, once for all of them')
  loads[1]?.resolve('new')
  test.strictSame(
    (await Promise.all(others)).map(({ answer }) => answer),
    ['new', 'new', 'new'],
  )
})

await t.test('a rate limit of everybody is found out soon', async (test) => {
  const { share, loads } = setUp()
  const limit = new UpstreamRateLimited('the upstream registry limits requests now', 5)
  const all = Array.from(
    { length: 20 },
    async (_, index) => await failure(share({ requester: String(index) })),
  )
  const known = share({ requester: 'known', fallback: { answer: 'old', appliesTo, maxWaitMs: never } })
  for (let round = 0; round < 3; round++) {
    loads[round]?.reject(limit)
    await settled()
  }
  for (const error of await Promise.all(all)) test.equal(error, limit)
  test.strictSame(await known, { answer: 'old', source: 'stale' })
  test.equal(loads.length, 3)
})

await t.test('a caller that leaves between two rounds starts no load', async (test) => {
  const { share, loads } = setUp()
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
  test.equal(loads.length, 0)
})

await t.test(
  'by default a caller gets the reason of its signal, and errors are for all callers',
  async (test) => {
    const share = createSingleFlight<string>()
    const loading = Promise.withResolvers<string>()
    const load = async () => await loading.promise
    const controller = new AbortController()
    const left = share({ key: 'key', load, signal: controller.signal })
    const staying = [share({ key: 'key', load }), share({ key: 'key', load, requester: 'bob' })]
    const reason = new Error('left')
    controller.abort(reason)
    await test.rejects(left, reason)
    await test.rejects(share({ key: 'key', load, signal: controller.signal }), reason)
    const error = new UpstreamRateLimited('limited', 1)
    loading.reject(error)
    for (const answer of staying) await test.rejects(answer, error)
  },
)

await t.test('attack: thousands of callers of one load go on over turns of the event loop', async (test) => {
  const share = createSingleFlight<string>()
  const loading = Promise.withResolvers<string>()
  const load = async () => await loading.promise
  const perTurn: number[] = []
  const released: string[] = []
  let before = 0
  const callers = Array.from({ length: 1000 }, async () => {
    const { answer } = await share({ key: 'key', load, requester: 'mallory' })
    released.push(answer)
    return answer
  })
  const other = share({ key: 'key', load, requester: 'alice' }).then(() => released.length)
  loading.resolve('answer')
  while (released.length < 1000) {
    await new Promise((resolve) => setImmediate(resolve))
    perTurn.push(released.length - before)
    before = released.length
  }
  test.ok(Math.max(...perTurn) <= 3 * 32, perTurn.join())
  test.ok((await other) <= 3 * 32, 'another requester does not wait for all of them')
  test.strictSame(new Set(await Promise.all(callers)), new Set(['answer']))
})

await t.test('callers without a requester share a turn of their own', async (test) => {
  const share = createSingleFlight<string>()
  const load = async () => await Promise.resolve('answer')
  const answers = await Promise.all([1, 2, 3].map(async () => await share({ key: 'key', load })))
  test.strictSame(
    answers.map(({ answer, source }) => `${answer} ${source}`),
    ['answer live', 'answer shared', 'answer shared'],
  )
})
