import t, { type Test } from 'tap'
import { keys } from '../../src/shared-state/keys.ts'
import { StoreFeed } from '../../src/shared-state/store-feed.ts'
import { entryOf } from '../../src/shared-state/reply.ts'
import { openSession } from '../../src/shared-state/session.ts'
import { startFakeRedis } from './fake-redis.ts'
import { until } from './support.ts'

const setUp = async (test: Test) => {
  const server = await startFakeRedis()
  test.teardown(async () => await server.close())
  const heard: string[] = []
  const feed = new StoreFeed({
    onFacts: async () => heard.push('bell'),
    onLogin: (entry) => heard.push(String(entryOf(entry).pairs[0]![1])),
  })
  const follow = async (newestLogin: string) => {
    const session = await openSession({ url: server.url }, () => undefined)
    test.teardown(() => session.end(new Error('over')))
    return { session, followed: feed.follow(session, newestLogin) }
  }
  const login = (text: string) => server.database.add(keys.logins, ['you', text])
  return { server, heard, follow, login }
}

await t.test(
  'failed logins are read from now on, also those of a short disconnection, and those after the store was emptied',
  async (test) => {
    const { server, heard, follow, login } = await setUp(test)
    const newest = login('before')
    const first = await follow(newest)
    login('one')
    await until(() => heard.length === 1, 'it is heard')
    server.database.add(keys.bell, ['b', ''])
    await until(() => heard.includes('bell'), 'the bell is heard')
    first.session.end(new Error('over'))
    await first.followed
    const away = login('while away')
    const second = await follow(away)
    await until(() => heard.includes('while away'), 'it is heard')
    test.same(heard.toSorted(), ['bell', 'bell', 'one', 'while away'], 'the bell once more at the start')
    second.session.end(new Error('over'))
    server.wipe()
    await follow('0-0')
    login('after')
    await until(() => heard.includes('after'), 'it is heard')
  },
)

await t.test('an empty reply is ignored; a reply of another form ends the session', async (test) => {
  const { server, heard, follow } = await setUp(test)
  server.answer('XREAD', null)
  const { session, followed } = await follow('0-0')
  await until(() => server.asked.get('XREAD')! > 2, 'it asks again')
  server.answer('XREAD', 'nonsense')
  await followed
  test.match(await session.ended, { code: 'PROTOCOL' })
  test.same(heard, [])
})
