import t, { type Test } from 'tap'
import { openScript } from '../../src/shared-state/scripts.ts'
import { evalOf, openSession } from '../../src/shared-state/session.ts'
import { StoreUnavailable, StoreSlow } from '../../src/shared-state/store-errors.ts'
import { startFakeRedis } from './fake-redis.ts'
import { until } from './support.ts'

const setUp = async (test: Test) => {
  const server = await startFakeRedis()
  const slow: (StoreSlow | undefined)[] = []
  const session = await openSession({ url: server.url }, (error) => slow.push(error))
  test.teardown(async () => {
    session.end(new Error('over'))
    await server.close()
  })
  return { server, session, slow }
}
const probe = ['ZREM', 'a', 'b']

await t.test('a script is sent with its keys', async (test) => {
  test.same(evalOf({ lua: 'return 1', keys: 2 }, ['a', 'b'], ['c']), ['EVAL', 'return 1', '2', 'a', 'b', 'c'])
  const { session } = await setUp(test)
  const reply = await session.command(evalOf(openScript, ['e', 'l', 'f', 'n'], ['life']))
  test.equal(String((reply as unknown[])[0]), 'life')
})

await t.test('a silent store gets only probes', async (test) => {
  const { server, session, slow } = await setUp(test)
  test.equal(await session.command(probe), 0)
  server.hush()
  await test.rejects(session.command(probe), StoreSlow)
  const asked = server.asked.get('ZREM')
  for (let count = 0; count < 50; count += 1) await test.rejects(session.command(probe), StoreUnavailable)
  test.equal(server.asked.get('ZREM'), asked)
  test.ok(session.isOpen())
  server.speak()
  await until(async () => (await session.command(probe).catch(() => undefined)) === 0, 'it is asked again')
  test.equal(slow.at(-1), undefined)
  test.ok(slow.some((error) => error instanceof StoreSlow))
})

await t.test('a long silence ends the session', async (test) => {
  const { server, session } = await setUp(test)
  server.hush()
  await test.rejects(session.follow(probe, 20), StoreSlow)
  test.type(await session.ended, StoreSlow)
  test.notOk(session.isOpen())
  await test.rejects(session.command(probe), StoreUnavailable)
  await until(() => server.connections() === 0, 'both connections are closed')
})

await t.test('a refusal of all commands ends the session, a refusal of writes does not', async (test) => {
  const { server, session } = await setUp(test)
  server.refuse('MISCONF')
  await test.rejects(session.patiently(probe), { code: 'MISCONF' })
  test.ok(session.isOpen())
  server.refuse('READONLY')
  await test.rejects(session.patiently(probe), { code: 'READONLY' })
  test.match(await session.ended, { code: 'READONLY' })
})

await t.test('a lost connection ends the session', async (test) => {
  const { server, session } = await setUp(test)
  server.drop()
  test.type(await session.ended, Error)
  test.notOk(session.isOpen())
})

await t.test('a store that cannot be reached leaves no connection open', async (test) => {
  const server = await startFakeRedis({ password: 'hunter2' })
  test.teardown(async () => await server.close())
  await test.rejects(
    openSession({ url: server.url, password: () => 'wrong' }, () => undefined),
    {
      code: 'WRONGPASS',
    },
  )
  await until(() => server.connections() === 0, 'no connection is left')
})
