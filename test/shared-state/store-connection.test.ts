import t, { type Test } from 'tap'
import type { Session } from '../../src/shared-state/session.ts'
import { StoreConnection } from '../../src/shared-state/store-connection.ts'
import { startFakeRedis } from './fake-redis.ts'
import { until } from './support.ts'

const setUp = async (test: Test, onSession: (session: Session) => Promise<void> = async () => undefined) => {
  const server = await startFakeRedis()
  const clock = { now: 1000 }
  const changes: string[] = []
  const connection: StoreConnection = new StoreConnection({
    address: { url: server.url },
    onSession,
    onChange: () => {
      const { state, reason } = connection.status()
      changes.push(`${state} ${reason ?? ''}`)
    },
    now: () => clock.now,
  })
  test.teardown(async () => {
    await connection.close()
    await server.close()
  })
  return { server, connection, changes, clock }
}
const probe = ['ZREM', 'a', 'b']

await t.test(
  'connected, unavailable, connected: each change is reported once, with its time',
  async (test) => {
    const { server, connection, changes, clock } = await setUp(test)
    test.throws(() => connection.session(), /unavailable/)
    connection.setWrites('full')
    test.equal(connection.status().reason, 'not connected yet')
    connection.start()
    await until(() => connection.isUp(), 'it is connected')
    clock.now += 50
    test.same(connection.status(), { state: 'connected', sinceMs: 50 })
    connection.setWrites('full')
    connection.setWrites('full')
    test.same(connection.status(), { state: 'connected', sinceMs: 50, reason: 'full' })
    connection.setWrites(undefined)
    server.drop()
    await until(() => changes.length === 4, 'it is unavailable')
    await until(() => connection.isUp(), 'it is back')
    test.match(changes, [
      /^connected $/,
      /^connected full/,
      /^connected $/,
      /^unavailable .*/,
      /^connected $/,
    ])
  },
)

await t.test('a slow store is unavailable until it answers', async (test) => {
  const { server, connection, changes } = await setUp(test)
  connection.start()
  await until(() => connection.isUp(), 'it is connected')
  server.hush()
  await test.rejects(connection.session().command(probe))
  test.match(connection.status(), { state: 'unavailable', reason: /250 ms/ })
  server.speak()
  await until(
    async () =>
      (await connection
        .session()
        .command(probe)
        .catch(() => 1)) === 0,
    'it answers',
  )
  await until(() => connection.isUp(), 'it is connected')
  test.equal(changes.length, 3)
})

await t.test('an unanswered command of an ended session changes nothing', async (test) => {
  const { server, connection } = await setUp(test, async (session) => {
    if (calls++ > 0) return
    server.hush()
    await session.command(probe).catch(() => undefined)
    server.speak()
  })
  let calls = 0
  connection.start()
  await until(() => connection.status().reason?.includes('250 ms'), 'it is slow from the start')
  await until(async () => {
    await connection
      .session()
      .command(probe)
      .catch(() => undefined)
    return connection.isUp()
  }, 'it answers after all')
  test.equal(calls, 1)
})

await t.test('a session that cannot be opened is retried with backoff', async (test) => {
  let tries = 0
  const { connection, changes } = await setUp(test, async () => {
    tries += 1
    if (tries < 4) throw Object.assign(new Error('x'), { code: 'EX' })
  })
  connection.start()
  await until(() => connection.isUp(), 'it is connected')
  test.equal(tries, 4)
  test.match(changes, [/cannot be reached \(EX\)/, /^connected $/])
})

await t.test('closing while connecting', async (test) => {
  const { connection, server } = await setUp(test)
  connection.start()
  await connection.close()
  test.equal(connection.isUp(), false)
  await until(() => server.connections() === 0, 'nothing is left open')
})
