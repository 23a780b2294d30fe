import t from 'tap'
import { createLane, type LaneOptions } from '../../src/kubernetes/lane.ts'

const setUp = (more: Partial<LaneOptions> = {}) => {
  const seen = { inFlight: 0, most: 0, shed: 0 }
  const lane = createLane({
    max: 2,
    maxQueued: 2,
    maxWaitMs: 10_000,
    observeInFlight: (change) => {
      seen.inFlight += change
      seen.most = Math.max(seen.most, seen.inFlight)
    },
    observeShed: () => (seen.shed += 1),
    ...more,
  })
  const started: string[] = []
  const gates = new Map<string, PromiseWithResolvers<string>>()
  const ask = (name: string, isAhead?: boolean) => {
    const gate = Promise.withResolvers<string>()
    gates.set(name, gate)
    return lane(async () => {
      started.push(name)
      return await gate.promise
    }, isAhead)
  }
  const end = async (name: string) => {
    gates.get(name)?.resolve(name)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { seen, started, ask, end, gates }
}

await t.test('so many at a time, the next when one is over, and none slips in between', async (test) => {
  const { seen, started, ask, end } = setUp()
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

await t.test('a failure gives its place back', async (test) => {
  const { seen, ask, gates, end } = setUp({ max: 1 })
  const failing = ask('a')
  const next = ask('b')
  gates.get('a')?.reject(new Error('away'))
  await test.rejects(failing, { message: 'away' })
  await end('b')
  test.equal(await next, 'b')
  test.equal(seen.inFlight, 0)
})

await t.test('those who are known go ahead of those who are not', async (test) => {
  const { started, ask, end } = setUp({ max: 1 })
  const all = [ask('a'), ask('stranger'), ask('known', true)]
  for (const name of ['a', 'known', 'stranger']) await end(name)
  await Promise.all(all)
  test.strictSame(started, ['a', 'known', 'stranger'])
})

await t.test('beyond the queue: 503 with Retry-After, and nothing was asked', async (test) => {
  const { seen, started, ask, end } = setUp({ max: 1 })
  const all = ['a', 'b', 'c'].map((name) => ask(name))
  await test.rejects(ask('d'), { code: 'UNAVAILABLE', status: 503, headers: { 'retry-after': '1' } })
  const known = ask('e', true)
  for (const name of ['a', 'e', 'b', 'c']) await end(name)
  await Promise.all([...all, known])
  test.strictSame(started, ['a', 'e', 'b', 'c'], 'a queue of strangers is not in the way of the known')
  test.equal(seen.shed, 1)
})

await t.test('who waits for too long is sent away, and is not asked about later', async (test) => {
  const { seen, started, ask, end } = setUp({ max: 1, maxWaitMs: 5 })
  const first = ask('a')
  await test.rejects(ask('b'), { code: 'UNAVAILABLE' })
  await end('a')
  await first
  test.strictSame(started, ['a'])
  test.strictSame(seen, { inFlight: 0, most: 1, shed: 1 })
})
