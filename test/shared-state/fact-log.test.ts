import t, { type Test } from 'tap'
import { encodeFact } from '../../src/shared-state/fact-codec.ts'
import { FactLog } from '../../src/shared-state/fact-log.ts'
import { openLifeMs } from '../../src/digests/sightings.ts'
import { bucketOf, keys, prefix } from '../../src/shared-state/keys.ts'
import { openSession } from '../../src/shared-state/session.ts'
import type { Fact } from '../../src/digests/facts.ts'
import { startFakeRedis } from './fake-redis.ts'
import { keyOf, namesFact, tagFact, until } from './support.ts'

const setUp = async (test: Test, slow: () => void = () => undefined) => {
  const server = await startFakeRedis()
  test.teardown(async () => await server.close())
  const known = new Set<string>()
  const counts = { lost: 0, unreadable: 0, applied: 0 }
  const log = new FactLog({
    origin: 'me',
    apply: (facts) => {
      counts.applied += facts.length
      for (const fact of facts) known.add(keyOf(fact))
    },
    onLost: () => (counts.lost += 1),
    onUnreadable: () => {
      counts.unreadable += 1
      slow()
    },
    wallClock: Date.now,
  })
  const open = async () => {
    const session = await openSession({ url: server.url }, () => undefined)
    test.teardown(() => session.end(new Error('over')))
    await log.open(session)
    return session
  }
  const add = (facts: readonly Fact[], origin = 'you') => {
    const pairs = facts.flatMap((fact) => {
      const { kind, field, value } = encodeFact(fact, Date.now())!
      return [Buffer.concat([Buffer.from(kind), field]), value]
    })
    return server.database.add(keys.log, ['o', origin, ...pairs])
  }
  const store = (key: string, fact: Fact, stamp = Date.now()) => {
    const { field, value } = encodeFact(fact, stamp)!
    const hash = server.database.hashes.get(prefix + key) ?? new Map<string, Buffer>()
    server.database.hashes.set(prefix + key, hash.set(field.toString('latin1'), value))
  }
  const loaded = async () => await until(() => log.isLoaded(), 'it is loaded')
  return { server, known, counts, log, open, add, store, loaded }
}

await t.test('all facts of the store are applied, then new ones', async (test) => {
  const { log, open, known, store, add, loaded, counts } = await setUp(test)
  test.notOk(await log.catchUp(), 'not before it is opened')
  test.equal(log.epoch(), '')
  const bucket = bucketOf(Date.now())
  const held = [tagFact('a', true), namesFact('a', 2, true), tagFact('b'), namesFact('b'), tagFact('early')]
  for (const [at, key] of ['T', 'N', `t:${bucket}`, `n:${bucket}`, `t:${bucket - 2}`].entries())
    store(key, held[at]!)
  store(`t:${bucket}`, tagFact('too-old', false, Date.now() - openLifeMs - 1000))
  await open()
  await loaded()
  test.same([...known].toSorted(), held.map(keyOf).toSorted())
  test.match(log.epoch(), /^[0-9a-f]{16}$/)
  add([tagFact('c'), namesFact('c')])
  add([tagFact('mine')], 'me')
  test.ok(await log.catchUp())
  test.equal(known.size, 7)
  test.ok(await log.catchUp())
  test.same(
    counts,
    { lost: 0, unreadable: 0, applied: 8 },
    'nothing twice, except for the names of restricted manifests',
  )
})

await t.test('more entries than one read returns', async (test) => {
  const { log, open, known, add, loaded } = await setUp(test)
  await open()
  await loaded()
  for (let at = 0; at < 600; at += 1) add([tagFact(`${at}`)])
  test.ok(await log.catchUp())
  test.equal(known.size, 600)
})

await t.test('a new session continues after the last entry', async (test) => {
  const { log, open, known, server, add, store, loaded, counts } = await setUp(test)
  store('T', tagFact('a', true))
  const first = await open()
  await loaded()
  const scans = server.asked.get('HSCAN')
  first.end(new Error('over'))
  await test.rejects(log.catchUp())
  add([tagFact('meanwhile')])
  await open()
  test.equal(known.size, 2)
  test.equal(server.asked.get('HSCAN'), scans, 'nothing is loaded again')
  test.same(counts, { lost: 0, unreadable: 0, applied: 2 })
})

await t.test('after the log was trimmed past the last entry, all facts are loaded again', async (test) => {
  const { log, open, known, server, add, store, loaded, counts } = await setUp(test)
  await open()
  await loaded()
  store('T', tagFact('a', true))
  add([tagFact('a', true)])
  const kept = add([tagFact('b')])
  const stream = server.database.streams.get(keys.log)!
  server.database.streams.set(
    keys.log,
    stream.filter(({ id }) => id === kept),
  )
  test.notOk(await log.catchUp())
  await loaded()
  test.ok(known.has(keyOf(tagFact('a', true))))
  test.ok(await log.catchUp())
  test.equal(counts.lost, 0)
})

await t.test(
  'a store that was emptied or restored is reported, and all facts are loaded again',
  async (test) => {
    const { log, open, server, add, loaded, counts } = await setUp(test)
    await open()
    await loaded()
    const epoch = log.epoch()
    const stream = server.database.streams.get(keys.log)!
    add([tagFact('a')])
    await log.catchUp()
    server.database.streams.set(keys.log, stream)
    test.notOk(await log.catchUp(), 'the entry where we stand is gone')
    await loaded()
    test.equal(counts.lost, 1)
    test.equal(log.epoch(), epoch)
    server.database.streams.set(keys.log, [...stream, { id: '1-0', pairs: [] }])
    server.wipe()
    test.notOk(await log.catchUp())
    await loaded()
    test.equal(counts.lost, 2)
    test.not(log.epoch(), epoch)
    server.wipe()
    await open()
    await loaded()
    test.equal(counts.lost, 3, 'noticed with a new session, too')
    test.ok(await log.catchUp())
  },
)

await t.test('a failed load ends its session, and starts again with the next one', async (test) => {
  const { log, open, server, store, loaded, counts } = await setUp(test)
  store('T', tagFact('a', true))
  server.answer('HSCAN', 'nonsense')
  const session = await open()
  test.match(await session.ended, { code: 'PROTOCOL' })
  test.notOk(log.isLoaded())
  server.answer('HSCAN', undefined)
  await open()
  await loaded()
  test.same(counts, { lost: 0, unreadable: 0, applied: 1 })
})

await t.test('a load of an ended session has no effect', async (test) => {
  const { log, open, server, loaded } = await setUp(test)
  server.hush()
  server.answer('HSCAN', ['0', []])
  const first = open()
  server.speak()
  await first
  await open()
  await loaded()
  test.ok(await log.catchUp())
})

await t.test('a read of an ended session has no effect', async (test) => {
  const { log, open, server, add, known, loaded } = await setUp(test, () => {
    // A slice for each: the new session begins in between.
    const until = performance.now() + 6
    while (performance.now() < until);
  })
  await open()
  await loaded()
  const nonsense = Array.from({ length: 40 }, () => ['tx', 'y']).flat()
  server.database.add(keys.log, ['o', 'you', ...nonsense])
  const reading = log.catchUp()
  await new Promise(setImmediate)
  await until(() => server.asked.get('readScript') === 1, 'it reads')
  const opening = open()
  test.notOk(await reading, 'it cannot say where it stands')
  await opening
  add([tagFact('after')])
  await until(async () => await log.catchUp(), 'the new one goes on')
  test.ok(known.has(keyOf(tagFact('after'))))
})

await t.test('an entry that is no fact is skipped', async (test) => {
  const { log, open, server, loaded, counts } = await setUp(test)
  await open()
  await loaded()
  server.database.add(keys.log, [])
  server.database.add(keys.log, ['o', 'you', 'tx', 'y', '', ''])
  test.ok(await log.catchUp())
  test.same(counts, { lost: 0, unreadable: 2, applied: 0 })
})

await t.test('a full store is read, and reported as full', async (test) => {
  const { server, log, open, add, known, loaded } = await setUp(test)
  await open()
  await loaded()
  test.ok(await log.catchUp())
  test.notOk(log.isFull())
  server.refuse('OOM')
  add([tagFact('before')])
  test.ok(await log.catchUp())
  test.strictSame([known.size, log.isFull()], [1, true])
  server.refuse(undefined)
  test.ok(await log.catchUp())
  test.notOk(log.isFull())
})
