import t from 'tap'
import { createFailedLoginFeed } from '../../src/shared-state/failed-login-feed.ts'
import type { Argument } from '../../src/shared-state/store-client.ts'

const setUp = (tokens = Infinity) => {
  const sent: (readonly Argument[])[] = []
  const heard: unknown[] = []
  const feed = createFailedLoginFeed({
    origin: 'me',
    send: async (args) => {
      sent.push(args)
      throw new Error('unavailable')
    },
    bucket: { take: () => tokens-- > 0, opensInMs: () => 0, drain: () => undefined },
  })
  feed.onCharge((charge) => heard.push(charge))
  return { sent, heard, feed }
}

await t.test('charges are sent within the rate, unless they are too large', async (test) => {
  const { sent, feed } = setUp(2)
  feed.publish({ address: 'x'.repeat(256) })
  for (let count = 0; count < 5; count += 1) feed.publish({ address: 'abc', kind: count })
  test.equal(sent.length, 2)
  test.same(sent[0]!.slice(-2), ['me', '{"address":"abc","kind":0}'])
})

await t.test('charges of other replicas are passed on if they are valid', async (test) => {
  const { heard, feed } = setUp()
  const receive = (origin: string, text: string) => feed.receive(['1-0', [origin, text]])
  receive('me', '{"address":"mine"}')
  receive('you', '{"address":"abc","kind":1}')
  for (const text of ['{', 'null', '[]', '"a"', '{"a":{}}', `{"a":"${'x'.repeat(256)}"}`])
    receive('you', text)
  feed.receive(['1-0', []])
  test.same(heard, [{ address: 'abc', kind: 1 }])
})
