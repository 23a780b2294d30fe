import { Agent, fetch } from 'undici'
import t from 'tap'
import { onResponse } from '../../src/kubernetes/on-response.ts'
import type { Dispatcher } from '../../src/kubernetes/connection-pool.ts'
import { startForeign } from './answers.ts'

await t.test('each status is seen once, before the response is read', async (test) => {
  const server = await startForeign(test)
  const seen: (string | number)[] = []
  const agent = new Agent()
  test.teardown(() => agent.destroy())
  const dispatcher = (agent as unknown as Dispatcher).compose(
    onResponse(() => {
      seen.push('out')
      return (status) => {
        seen.push(status)
        if (status === 307) throw new Error('not there')
      }
    }),
  )
  const ask = async () =>
    await fetch(`http://127.0.0.1:${server.port}/`, { dispatcher: dispatcher as unknown as Agent })
  server.answer = { status: 201, body: 'text' }
  test.equal(await (await ask()).text(), 'text')
  server.answer = { status: 307, body: 'text', headers: { location: '/elsewhere' } }
  await test.rejects(ask(), { cause: { message: 'not there' } })
  test.strictSame(seen, ['out', 201, 'out', 307])
  test.equal(server.asked, 2)
})

await t.test('all other methods of a handler are unchanged', async (test) => {
  const called: unknown[] = []
  const handler = {
    name: 'five',
    onResponseEnd(this: { name: string }) {
      called.push(this.name)
    },
  }
  const dispatch = onResponse(() => (status) => void called.push(status))((_options, observed) => {
    observed.onResponseStart?.(undefined as never, 200, {}, 'OK')
    observed.onResponseEnd?.(undefined as never, {})
    called.push((observed as typeof handler).name)
    return true
  })
  test.equal(dispatch(undefined as never, handler as never), true)
  test.strictSame(called, [200, 'five', 'five'])
})
