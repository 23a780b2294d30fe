import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import { ReviewShed, reviewShed } from '../../src/kubernetes/review-shed.ts'
import { createReviewQueue, type ReviewQueueOptions } from '../../src/kubernetes/review-queue.ts'
import { fakeClock, settled } from '../concurrency/fake-clock.ts'

const setUp = (more: Partial<ReviewQueueOptions> = {}) => {
  const seen = { inFlight: 0, most: 0, shed: 0 }
  const clock = fakeClock()
  const queue = createReviewQueue({
    max: 2,
    maxQueued: 2,
    maxWaitMs: 1000,
    observeInFlight: (change) => {
      seen.inFlight += change
      seen.most = Math.max(seen.most, seen.inFlight)
    },
    observeShed: () => (seen.shed += 1),
    clock,
    ...more,
  })
  const started: string[] = []
  const gates = new Map<string, PromiseWithResolvers<string>>()
  const ask = (name: string, requester = name, isPriority?: boolean) => {
    const gate = Promise.withResolvers<string>()
    gates.set(name, gate)
    return queue(isPriority === undefined ? { requester } : { requester, isPriority }, async () => {
      started.push(name)
      return await gate.promise
    })
  }
  const end = async (name: string) => {
    gates.get(name)?.resolve(name)
    await settled()
  }
  return { seen, started, ask, end, gates, clock }
}

/** By the clock of the machine, and nobody looks. */
const plainQueue = (max = 1) =>
  createReviewQueue({
    max,
    maxQueued: 1,
    maxWaitMs: 1,
    observeInFlight: () => undefined,
    observeShed: () => undefined,
  })

await t.test('the limit holds, and a free slot goes to the next waiter', async (test) => {
  const { seen, started, ask, end } = setUp({ maxQueued: 10 })
  const answers = Promise.all(['a', 'b', 'c', 'd'].map((name) => ask(name)))
  test.strictSame(started, ['a', 'b'])
  await end('a')
  test.strictSame(started, ['a', 'b', 'c'])
  const late = ask('e')
  test.strictSame(started, ['a', 'b', 'c'])
  for (const name of ['b', 'c', 'd', 'e']) await end(name)
  test.strictSame(await answers, ['a', 'b', 'c', 'd'])
  test.equal(await late, 'e')
  test.strictSame(seen, { inFlight: 0, most: 2, shed: 0 })
})

await t.test('a failed review releases its slot', async (test) => {
  const { seen, ask, gates, end } = setUp({ max: 1 })
  const failing = ask('a')
  const next = ask('b')
  gates.get('a')?.reject(new Error('unavailable'))
  await test.rejects(failing, { message: 'unavailable' })
  await end('b')
  test.equal(await next, 'b')
  test.equal(seen.inFlight, 0)
})

await t.test('reviews with priority go ahead of the others', async (test) => {
  const { started, ask, end } = setUp({ max: 1 })
  const all = [ask('a'), ask('stranger'), ask('known', 'known', true)]
  for (const name of ['a', 'known', 'stranger']) await end(name)
  await Promise.all(all)
  test.strictSame(started, ['a', 'known', 'stranger'])
})

await t.test("a review over the queue's bound gets 503 with Retry-After, and is not sent", async (test) => {
  const { seen, started, ask, end } = setUp({ max: 1 })
  const all = ['a', 'b', 'c'].map((name) => ask(name))
  await test.rejects(ask('d'), { code: 'UNAVAILABLE', status: 503, headers: { 'retry-after': '1' } })
  test.ok((await ask('d').catch((error: unknown) => error)) instanceof ReviewShed, 'which is no outage')
  const known = ask('e', 'e', true)
  for (const name of ['a', 'e', 'b', 'c']) await end(name)
  await Promise.all([...all, known])
  test.strictSame(started, ['a', 'e', 'b', 'c'], 'a queue of strangers is not in the way of the known')
  test.equal(seen.shed, 2)
})

await t.test('a review that waited too long gets 503, and is not sent later', async (test) => {
  const { seen, started, ask, end, clock } = setUp({ max: 1 })
  const first = ask('a')
  const second = test.rejects(ask('b'), { code: 'UNAVAILABLE' })
  await clock.pass(1000)
  await second
  await end('a')
  await first
  test.strictSame(started, ['a'])
  test.strictSame(seen, { inFlight: 0, most: 1, shed: 1 })
})

await t.test('attack: a thousand reviews of one requester delay no other requester', async (test) => {
  const { started, ask, seen } = setUp({ max: 8, maxQueued: 100 })
  const flood = Array.from({ length: 1000 }, (_, index) => ask(`m${index}`, 'mallory'))
  for (const one of flood) one.catch(() => undefined)
  await settled()
  test.equal(seen.inFlight, 6, 'three quarters of the places')
  for (const name of ['alice', 'bob']) void ask(name)
  test.strictSame(started.slice(-2), ['alice', 'bob'])
  test.equal(seen.inFlight, 8)
})

await t.test('attack: if all slots are taken, requesters take turns', async (test) => {
  const { started, ask, end } = setUp({ max: 2, maxQueued: 100 })
  for (let index = 0; index < 50; index++) ask(`m${index}`, 'mallory').catch(() => undefined)
  void ask('alice')
  void ask('bob')
  for (const name of ['m0', 'm1', 'm2', 'alice']) await end(name)
  test.ok(started.indexOf('alice') <= 4 && started.includes('bob'), started.join(' '))
})

await t.test('the system clock is used unless one is given', async (test) => {
  const queue = plainQueue()
  test.equal(await queue({ requester: 'a' }, async () => 'answer'), 'answer')
})

await t.test('a 429 of the API server is shed load only if the proxy caused it', async (test) => {
  const answers: PromiseWithResolvers<string>[] = []
  const queue = plainQueue(8)
  const ask = async () =>
    await queue({ requester: 'a' }, async () => {
      const answer = Promise.withResolvers<string>()
      answers.push(answer)
      return await answer.promise
    })
  const few = ask()
  answers[0]?.reject(reviewShed())
  await test.rejects(few, { code: 'UNAVAILABLE', constructor: RegistryError }, 'it is away for us')
  const many = Array.from({ length: 6 }, ask)
  for (const one of many) one.catch(() => undefined)
  answers[1]?.reject(reviewShed())
  await test.rejects(many[0] as Promise<string>, { code: 'UNAVAILABLE', constructor: ReviewShed })
  for (const answer of answers) answer.resolve('late')
})

await t.test('a failure of the API server is passed on', async (test) => {
  const queue = plainQueue()
  const failure = new Error('no answer')
  await test.rejects(
    queue({ requester: 'a' }, async () => await Promise.reject(failure)),
    failure,
  )
})
