import t from 'tap'
import {
  Lease,
  type LeaseChange,
  type LeaseRecord,
  type LeaseStore,
} from '../../../src/mirror/lease/lease.ts'
import { fakeClock, type FakeClock } from '../../concurrency/fake-clock.ts'

/** In memory, with the versions of the API server. */
const startStore = () => {
  let record: LeaseRecord | undefined
  let version = 0
  const store = {
    fault: (_operation: 'read' | 'write'): void => undefined,
    current: () => record,
    read: async () => {
      store.fault('read')
      return record
    },
    write: async (next: LeaseRecord) => {
      store.fault('write')
      if (next.version !== record?.version) return false
      record = { ...next, version: `${++version}` }
      return true
    },
  }
  return store
}

const replica = (store: LeaseStore, clock: FakeClock, identity: string) => {
  const changes: LeaseChange[] = []
  const lease = new Lease({ store, identity, clock, observe: (change) => changes.push(change) })
  return { lease, changes }
}
const whats = (changes: readonly LeaseChange[]) => changes.map(({ what }) => what)

await t.test('the first one gets it and renews it, the other one waits', async (t) => {
  const [store, clock] = [startStore(), fakeClock()]
  const [a, b] = [replica(store, clock, 'a'), replica(store, clock, 'b')]
  t.equal(a.lease.isHeld(), false)
  a.lease.start()
  await clock.pass(100)
  b.lease.start()
  await clock.pass(60_000)
  t.equal(a.lease.isHeld(), true)
  t.equal(b.lease.isHeld(), false)
  t.match(store.current(), { holder: 'a', durationSeconds: 15, transitions: 0 })
  t.strictSame(whats(a.changes), ['acquired'])
  await a.lease.stop()
  t.equal(a.lease.isHeld(), false)
  t.equal(clock.pending(), 1)
  await clock.pass(2000)
  t.equal(b.lease.isHeld(), true, 'without waiting for its end')
  t.match(store.current(), { holder: 'b', transitions: 1 })
  await b.lease.stop()
})

await t.test('a holder that cannot renew stops before another one begins', async (t) => {
  const [store, clock] = [startStore(), fakeClock()]
  const [a, b] = [replica(store, clock, 'a'), replica(store, clock, 'b')]
  a.lease.start()
  await clock.pass(0)
  b.lease.start()
  await clock.pass(0)
  // The API server is cut off.
  const { read } = store
  let isOfA = false
  store.read = async () => {
    if (isOfA) throw new Error('cut off')
    return await read()
  }
  isOfA = true
  let heldByBoth = 0
  for (let ms = 0; ms < 9900; ms += 100) await clock.pass(100)
  t.equal(a.lease.isHeld(), true)
  await clock.pass(200)
  t.equal(a.lease.isHeld(), false)
  await clock.pass(2000)
  t.match(
    a.changes.filter(({ what }) => what === 'failed'),
    [{ error: { message: 'cut off' } }],
  )
  t.strictSame(
    whats(a.changes).filter((what) => what !== 'failed'),
    ['acquired', 'lost'],
  )
  isOfA = false
  for (let ms = 0; ms < 10_000; ms += 100) {
    await clock.pass(100)
    if (a.lease.isHeld() && b.lease.isHeld()) heldByBoth += 1
  }
  t.equal(heldByBoth, 0)
  await a.lease.stop()
  await b.lease.stop()
})

await t.test('a process that was stopped for a while has lost the lease when it continues', async (t) => {
  const [store, clock] = [startStore(), fakeClock()]
  let isStopped = false
  const parked: (() => void)[] = []
  // As with SIGSTOP: time passes, and nothing runs.
  const after: FakeClock['after'] = (ms, run) =>
    clock.after(ms, () => {
      if (isStopped) parked.push(run)
      else run()
    })
  const [a, b] = [replica(store, { ...clock, after }, 'a'), replica(store, clock, 'b')]
  a.lease.start()
  await clock.pass(0)
  b.lease.start()
  await clock.pass(3000)
  isStopped = true
  await clock.pass(12_000)
  t.equal(b.lease.isHeld(), false, 'it is not over yet')
  await clock.pass(8000)
  t.equal(b.lease.isHeld(), true)
  isStopped = false
  t.equal(a.lease.isHeld(), false, 'before anything else has run')
  for (const run of parked) run()
  await clock.pass(20_000)
  t.equal(a.lease.isHeld(), false)
  t.equal(b.lease.isHeld(), true)
  await a.lease.stop()
  await b.lease.stop()
})

await t.test('if two replicas begin at once, one gets the lease', async (t) => {
  const [store, clock] = [startStore(), fakeClock()]
  const replicas = ['a', 'b', 'c'].map((identity) => replica(store, clock, identity))
  for (const { lease } of replicas) lease.start()
  await clock.pass(30_000)
  t.equal(replicas.filter(({ lease }) => lease.isHeld()).length, 1)
  for (const { lease } of replicas) await lease.stop()
  t.equal(clock.pending(), 0)
})

await t.test(
  'an API server that fails now and then: two replicas never hold the lease at once',
  async (t) => {
    const [store, clock] = [startStore(), fakeClock()]
    let seed = 7
    const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    store.fault = () => {
      if (random() < 0.55) throw new Error('503')
    }
    const replicas = ['a', 'b', 'c'].map((identity) => replica(store, clock, identity))
    for (const { lease } of replicas) lease.start()
    const holders = new Set<number>()
    for (let ms = 0; ms < 600_000; ms += 250) {
      await clock.pass(250)
      const held = replicas.flatMap(({ lease }, index) => (lease.isHeld() ? [index] : []))
      if (held.length > 1) t.fail(`${held.join()} at ${ms}`)
      for (const index of held) holders.add(index)
    }
    t.ok(holders.size > 1, 'it has changed hands')
    store.fault = () => {
      throw new Error('503')
    }
    for (const { lease } of replicas)
      await t.resolves(lease.stop(), 'a lease that cannot be given back ends by itself')
  },
)

await t.test('a lease that never began', async (t) => {
  const { lease } = replica(startStore(), fakeClock(), 'a')
  await t.resolves(lease.stop())
})

await t.test('a lease that another replica has taken is not given back', async (t) => {
  const [store, clock] = [startStore(), fakeClock()]
  const { lease } = replica(store, clock, 'a')
  lease.start()
  await clock.pass(0)
  const current = store.current() as LeaseRecord
  await store.write({ ...current, holder: 'b' })
  await lease.stop()
  t.match(store.current(), { holder: 'b' })
})

await t.test('attack: a machine that is suspended, and a time of day that jumps', async (t) => {
  const [store, clock] = [startStore(), fakeClock()]
  let now = Date.UTC(2026, 0)
  const changes: LeaseChange[] = []
  const lease = new Lease({
    store,
    identity: 'a',
    clock,
    now: () => now,
    observe: (change) => changes.push(change),
  })
  lease.start()
  await clock.pass(0)
  t.equal(lease.isHeld(), true)
  // The monotonic clock stands meanwhile.
  now += 11_000
  t.equal(lease.isHeld(), false)
  await clock.pass(2000)
  t.equal(lease.isHeld(), true, 'renewed')
  now -= 3_600_000
  t.equal(lease.isHeld(), true)
  store.fault = () => {
    throw new Error('cut off')
  }
  await clock.pass(11_000)
  t.equal(lease.isHeld(), false, 'a time of day that is set back does not prolong the lease')
  t.strictSame(whats(changes.filter(({ what }) => what !== 'failed')), ['acquired', 'lost'])
  await lease.stop()
})
