import t from 'tap'
import { createGrants } from '../../src/shared-state/grants.ts'
import { startFakeRedis } from './fake-redis.ts'
import { isReady, storeReplica, until } from './support.ts'

await t.test('a store that does not answer loses a grant without an error', async (test) => {
  const grants = createGrants(() => Promise.reject(new Error('unavailable')))
  await grants.publish('holder', 'my-team/app')
  test.same(await grants.read('holder'), [])
  test.same(await createGrants(async () => 'nonsense').read('holder'), [])
})

await t.test('the newest grants of a holder, of any replica', async (test) => {
  const server = await startFakeRedis()
  test.teardown(server.close)
  const replicas = [storeReplica({ url: server.url }), storeReplica({ url: server.url })] as const
  for (const replica of replicas) {
    test.teardown(async () => await replica.state.close())
    await replica.state.start()
    await until(() => isReady(replica), 'it is ready')
  }
  const [a, b] = replicas
  test.same(await b.state.grants.read('holder'), [])
  for (let number = 0; number < 20; number++) {
    await a.state.grants.publish('holder', `n${number}/app`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  test.notMatch([...server.database.sets.keys()].join(), 'holder', 'the store is not told who that is')
  const read = await b.state.grants.read('holder')
  test.strictSame(
    read,
    Array.from({ length: 16 }, (_, number) => `n${19 - number}/app`),
  )
  test.same(await b.state.grants.read('another'), [])
})
