import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { bucketOf, keys, prefix } from '../../src/shared-state/keys.ts'
import type { StoreStateOptions } from '../../src/shared-state/store-state.ts'
import { startFakeRedis, type FakeRedis } from './fake-redis.ts'
import { isReady, joinedReplica, namesFact, someIndex, storeReplica, tagFact, until } from './support.ts'

const serve = async (test: Test): Promise<FakeRedis> => {
  const server = await startFakeRedis()
  test.teardown(async () => await server.close())
  return server
}

const joined = async (test: Test, { url }: FakeRedis, options: Partial<StoreStateOptions> = {}) => {
  return await joinedReplica(test, { url }, { beatMs: 20, ...options })
}

await t.test('a fact of one replica reaches all others', async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  const facts = [tagFact('base'), tagFact('secret', true), namesFact('base'), namesFact('secret', 3, true)]
  await a.learn(...facts)
  test.ok(await b.state.facts.catchUp())
  for (const fact of facts) test.ok(b.knows(fact))
  const late = await joined(test, server)
  for (const fact of facts) test.ok(late.knows(fact))
  await until(() => a.state.status().replicas === 3, 'all are counted')
  await late.state.close()
  test.equal(server.database.sets.get(keys.replicas)!.size, 2, 'who leaves is counted out')
})

await t.test('facts arrive without a request', async (test) => {
  const server = await serve(test)
  const [a, b] = [
    await joined(test, server, { beatMs: 60_000 }),
    await joined(test, server, { beatMs: 60_000 }),
  ]
  await a.learn(tagFact('base'))
  await until(() => b.knows(tagFact('base')), 'the other one is told')
  const charges: unknown[] = []
  b.state.failedLogins.onCharge((charge) => charges.push(charge))
  a.state.failedLogins.publish({ address: 'abc' })
  await until(() => charges.length === 1, 'the charge is told')
  test.same(charges, [{ address: 'abc' }])
})

await t.test('a store that was emptied is filled again', async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  await a.learn(tagFact('base'))
  await b.learn(tagFact('secret', true))
  server.wipe()
  await a.learn(tagFact('after'))
  await until(() => server.database.hashes.get(keys.restrictedTags)?.size === 1, 'restricted facts are back')
  await until(() => b.knows(tagFact('after')), 'what was published meanwhile is told')
  const late = await joined(test, server)
  await until(() => late.known.size === 3, 'a fresh one knows all')
  test.ok(late.knows(tagFact('secret', true)))
})

await t.test('lost restricted facts are stored again, once in a while', async (test) => {
  const server = await serve(test)
  let now = 0
  const a = await joined(test, server, { now: () => now })
  await a.learn(tagFact('one', true), tagFact('two', true))
  test.ok(await a.state.index.tryLead())
  test.ok(await a.state.index.write(someIndex))
  test.same(await a.state.index.read(), someIndex)
  const lose = () => server.database.hashes.delete(keys.restrictedTags)
  const size = () => server.database.hashes.get(keys.restrictedTags)?.size ?? 0
  lose()
  test.equal(await a.state.index.read(), undefined)
  await until(() => size() === 2, 'they are put back')
  lose()
  const beats = server.asked.get('beatScript')!
  await until(() => server.asked.get('beatScript')! > beats + 3, 'a few looks')
  test.equal(size(), 0, 'what nobody may know is not looked for all the time')
  now += 61_000
  await until(() => size() === 2, 'they are put back')
})

await t.test('the leader sweeps', async (test) => {
  const server = await serve(test)
  let ahead = 0
  const a = await joined(test, server, { wallClock: () => Date.now() + ahead })
  await a.learn(tagFact('old', true))
  ahead = 31 * 24 * 3_600_000
  test.ok(await a.state.index.tryLead())
  await until(() => server.database.hashes.get(keys.restrictedTags)?.size === 0, 'it is swept')
})

await t.test('a full store is read, and written later', async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  await until(() => a.state.status().replicas === 2, 'both are counted')
  server.refuse('OOM')
  await a.learn(tagFact('full'))
  test.ok(b.state.facts.isCertain())
  test.ok(await b.state.facts.catchUp(), 'reads go on')
  test.notOk(b.state.facts.isCertain(), 'others may know what they cannot tell')
  test.match(a.state.status(), { state: 'connected', reason: /maxmemory/, replicas: 2 })
  const bucket = a.state.tokenBucket('manifest', { perSecond: 1000, burst: 1 })
  await until(() => bucket.take(), 'a share is there')
  server.refuse(undefined)
  await until(() => b.knows(tagFact('full')), 'what was kept is sent')
  test.equal(a.state.status().reason, undefined)
})

await t.test('tokens are leased', async (test) => {
  const server = await serve(test)
  const a = await joined(test, server)
  const bucket = a.state.tokenBucket('manifest', { perSecond: 1000, burst: 5 })
  await until(() => bucket.take(), 'one is granted')
  test.ok(server.database.hashes.has('quay-proxy:1:rate:manifest'))
})

await t.test('the store is unavailable, then available again', async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  server.refuse('READONLY')
  server.drop()
  await until(() => /read-only/.test(a.state.status().reason ?? ''), 'the reason is told')
  test.match(a.state.status(), { state: 'unavailable', isLoaded: true })
  test.notOk(await a.state.facts.catchUp())
  test.notOk(await a.state.index.tryLead())
  test.notOk(await a.state.index.write(someIndex))
  test.equal(await a.state.index.read(), undefined)
  await a.learn(tagFact('meanwhile'))
  server.refuse(undefined)
  await until(() => isReady(a) && isReady(b), 'both are back')
  await until(() => b.knows(tagFact('meanwhile')), 'what was kept is sent')
})

await t.test('a store that does not answer', async (test) => {
  const server = await serve(test)
  const a = await joined(test, server, { beatMs: 60_000 })
  server.hush()
  test.notOk(await a.state.facts.catchUp())
  test.match(a.state.status(), { state: 'unavailable', reason: /within 250 ms/ })
  const began = performance.now()
  for (let count = 0; count < 100; count += 1) await a.learn(tagFact(`meanwhile ${count}`))
  test.ok(performance.now() - began < 1000, 'nobody else waits')
})

await t.test('an entry that is no fact causes one warning', async (test) => {
  const server = await serve(test)
  server.database.hashes.set(
    keys.restrictedTags,
    new Map([
      ['a', Buffer.of(1)],
      ['b', Buffer.of(2)],
    ]),
  )
  const a = await joined(test, server)
  test.equal(a.known.size, 0)
  test.match(a.warnings, [/no facts of this version/])
  test.equal(a.warnings.length, 1)
})

await t.test(
  'attack: a replica that cannot read a restricted fact does not rely on the walk of others',
  async (test) => {
    for (const kind of ['T', 't']) {
      const server = await serve(test)
      const hash = kind === 'T' ? keys.restrictedTags : `${prefix}t:${bucketOf(Date.now())}`
      server.database.hashes.set(hash, new Map([['a', Buffer.of(1)]]))
      const { state } = await joined(test, server)
      const written = { ...someIndex, patterns: '*-priv' }
      await state.index.tryLead()
      await state.index.write(written)
      test.same(await state.index.read(), kind === 'T' ? someIndex : written)
    }
  },
)

await t.test('a state directory is used at a start while the store is unavailable', async (test) => {
  const stateDir = test.testdir()
  const server = await serve(test)
  const first = await joined(test, server, { stateDir })
  await first.learn(tagFact('secret', true))
  await first.state.index.tryLead()
  await first.state.index.write(someIndex)
  await first.state.close()
  server.hush()
  const second = storeReplica({ url: server.url }, { stateDir, beatMs: 20 })
  test.teardown(async () => await second.state.close())
  await second.state.start()
  test.ok(second.knows(tagFact('secret', true)))
  test.same(await second.state.index.read(), someIndex)
  server.wipe()
  server.speak()
  await until(() => isReady(second), 'it is connected')
  test.equal(await second.state.index.read(), undefined, 'the store says what is so')
  await until(() => server.database.hashes.get(keys.restrictedTags)?.size === 1, 'the store has what it had')
  await second.state.close()
  await second.state.close()
  const third = await joined(test, server, { stateDir, hasForgotten: () => true })
  test.ok(third.knows(tagFact('secret', true)))
  await third.state.index.tryLead()
  await third.state.index.write(someIndex)
  await third.state.close()
  server.hush()
  const fourth = storeReplica({ url: server.url }, { stateDir, beatMs: 20 })
  test.teardown(async () => await fourth.state.close())
  await fourth.state.start()
  test.equal(
    await fourth.state.index.read(),
    undefined,
    'without all facts that close, the walk begins again',
  )
})

await t.test('a failure of the directory causes a warning', async (test) => {
  const stateDir = test.testdir({ state: 'foreign' })
  const server = await serve(test)
  const replica = await joined(test, server, { stateDir })
  test.match(replica.warnings, [/another program or version/])
})

await t.test('closing before the connection, and without a start', async (test) => {
  const server = await serve(test)
  const replica = storeReplica({ url: server.url }, { beatMs: 20 })
  test.match(replica.state.status(), {
    state: 'unavailable',
    reason: 'not connected yet',
    replicas: 1,
    isLoaded: false,
  })
  await replica.state.start()
  await replica.state.close()
  const never = storeReplica({ url: server.url })
  await never.state.close()
  await sleep(10)
  test.equal(server.connections(), 0)
})

await t.test('the state of the walk is not written before the facts that it relies on', async (test) => {
  const server = await serve(test)
  const a = await joined(test, server)
  test.ok(await a.state.index.tryLead())
  server.answer('publishScript', 0)
  await a.learn(tagFact('secret', true))
  test.notOk(await a.state.index.write(someIndex))
  test.equal(await a.state.index.read(), undefined)
  server.answer('publishScript', undefined)
  await until(async () => await a.state.index.write(someIndex), 'it is written when the facts are')
  test.equal(server.database.hashes.get(keys.restrictedTags)?.size, 1)
})
