import t from 'tap'
import { createFairQueue } from '../../src/concurrency/fair-queue.ts'
import { fakeClock, settled } from './fake-clock.ts'

const queueOf = (bounds: { maxPerRequester?: number; maxQueued?: number } = {}) => {
  const clock = fakeClock()
  const queue = createFairQueue({
    maxPerRequester: 100,
    maxQueued: 1000,
    ...bounds,
    clock,
    refuse: (why) => new Error(why),
  })
  /** What became of each, in that order. */
  const outcomes: string[] = []
  const wait = (name: string, signal?: AbortSignal, until = 3000) => {
    const [requester = ''] = name
    void queue.wait({ requester, until, signal }).then(
      () => outcomes.push(name),
      (error: Error) => outcomes.push(`${name} ${error.message}`),
    )
  }
  const serve = async (count: number) => {
    await settled()
    for (let turn = 0; turn < count; turn++) {
      queue.next(() => true)
      await settled()
    }
    return outcomes.splice(0)
  }
  return { clock, queue, wait, serve, outcomes }
}

await t.test('requesters take turns, each in the order of its requests', async (test) => {
  const { queue, wait, serve } = queueOf()
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1']) wait(name)
  test.equal(queue.size(), 7)
  test.strictSame(await serve(4), ['a1', 'b1', 'c1', 'a2'])
  wait('c2')
  test.strictSame(await serve(4), ['b2', 'a3', 'c2', 'a4'])
  test.equal(queue.size(), 0)
  test.equal(
    queue.next(() => true),
    false,
  )
})

await t.test('a thousand requests of one requester delay another requester by one turn', async (test) => {
  const { wait, serve } = queueOf({ maxPerRequester: 1000 })
  for (let index = 0; index < 999; index++) wait(`a${index}`)
  wait('b')
  test.strictSame(await serve(2), ['a0', 'b'])
})

await t.test('a requester over its limit is refused; others are not', async (test) => {
  const { wait, serve, queue } = queueOf({ maxPerRequester: 2 })
  for (const name of ['a1', 'a2', 'a3', 'b1']) wait(name)
  test.equal(queue.size(), 3)
  test.strictSame(await serve(3), ['a3 own-queue', 'a1', 'b1', 'a2'])
  wait('a4')
  test.strictSame(await serve(1), ['a4'], 'there is room again')
})

await t.test(
  'attack: if a few requesters fill the queue, the newest entry of the greediest is evicted',
  async (test) => {
    const { wait, serve, queue } = queueOf({ maxQueued: 5 })
    for (const name of ['a1', 'b1', 'b2', 'b3', 'a2', 'c1']) wait(name)
    await settled()
    test.equal(queue.size(), 5)
    test.strictSame(await serve(0), ['b3 own-queue'])
    for (const name of ['c2', 'd1', 'd2']) wait(name)
    await settled()
    test.equal(queue.size(), 5)
    test.strictSame(await serve(0), ['c2 queue', 'd2 queue', 'a2 own-queue'], 'nobody gains by pushing out')
    test.strictSame(await serve(5), ['a1', 'b1', 'c1', 'd1', 'b2'])
  },
)

await t.test('a requester that may not go yet keeps its turn, and others pass', async (test) => {
  const { queue, wait, outcomes } = queueOf()
  for (const name of ['a1', 'b1', 'c1', 'b2']) wait(name)
  const goAllBut = async (held: string) => {
    while (queue.next((requester) => requester !== held)) await settled()
    return outcomes.splice(0)
  }
  test.strictSame(await goAllBut('a'), ['b1', 'c1', 'b2'])
  test.equal(queue.size(), 1)
  test.strictSame(await goAllBut('d'), ['a1'])
})

await t.test('a request whose turn does not come in time is refused', async (test) => {
  const { clock, queue, wait, outcomes } = queueOf()
  wait('a', undefined, 100)
  wait('b')
  await clock.pass(99)
  test.strictSame(outcomes, [])
  await clock.pass(1)
  test.strictSame(outcomes, ['a time'])
  wait('c', undefined, 50)
  await clock.pass(0)
  test.strictSame(outcomes, ['a time', 'c time'], 'it was over before it began')
  test.equal(queue.size(), 1)
  queue.next(() => true)
  test.equal(clock.pending(), 0, 'no timer is left of those who are gone')
})

await t.test('an aborted request leaves; one that is aborted already does not enter', async (test) => {
  const { clock, queue, wait, serve } = queueOf()
  const goes = new AbortController()
  wait('a1', goes.signal)
  wait('a2')
  goes.abort(new Error('gone'))
  test.equal(queue.size(), 1)
  test.strictSame(await serve(0), ['a1 gone'])
  wait('a3', goes.signal)
  test.strictSame(await serve(0), ['a3 gone'])
  const stays = new AbortController()
  wait('a4', stays.signal)
  test.strictSame(await serve(2), ['a2', 'a4'])
  stays.abort()
  test.strictSame(await serve(0), [], 'too late')
  test.equal(queue.size(), 0)
  test.equal(clock.pending(), 0)
})
