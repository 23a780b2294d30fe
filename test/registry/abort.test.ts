import { once } from 'node:events'
import { get } from 'node:http'
import t from 'tap'
import { abortedWith } from '../../src/registry/abort.ts'
import { bareApp, listen } from './fakes.ts'

await t.test('a disconnect aborts; a complete response does not', async (test) => {
  const app = bareApp(test)
  const signals: AbortSignal[] = []
  app.get('/', async (request, reply) => {
    const signal = abortedWith(reply)
    signals.push(signal)
    if (request.headers['x-leave'] !== undefined) await once(signal, 'abort')
    return 'x'
  })
  const url = `http://127.0.0.1:${await listen(test, app)}`
  await (await fetch(url)).text()
  const leaving = get(url, { headers: { 'x-leave': '1' } }).on('error', () => undefined)
  while (signals.length < 2) await new Promise((resolve) => setImmediate(resolve))
  leaving.destroy()
  await once(signals[1] as AbortSignal, 'abort')
  test.strictSame(
    signals.map(({ aborted }) => aborted),
    [false, true],
  )
})

await t.test('a client that disconnected before aborts at once', async (test) => {
  const app = bareApp(test)
  const { promise, resolve } = Promise.withResolvers<AbortSignal>()
  app.get('/', async (_request, reply) => {
    client.destroy()
    await once(reply.raw, 'close')
    resolve(abortedWith(reply))
    return 'x'
  })
  const client = get(`http://127.0.0.1:${await listen(test, app)}`).on('error', () => undefined)
  test.equal((await promise).aborted, true)
})
