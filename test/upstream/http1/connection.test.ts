import t from 'tap'
import { createConnection } from '../../../src/upstream/http1/connection.ts'
import { StaleConnection } from '../../../src/upstream/http1/response-head-reader.ts'
import { until } from '../upstream.ts'
import { ok, originOf, patient, scripted } from './scripted.ts'

const head = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'

await t.test('one request at a time, idle between them, closed when idle for long', async (test) => {
  const server = await scripted(test, (socket) => void socket.write(ok('hello')))
  const events: string[] = []
  const timeouts = { ...patient, idle: 100 }
  const { send } = createConnection(originOf(server.url, { timeouts }), {
    onIdle: () => void events.push('idle'),
    onClosed: () => void events.push('closed'),
  })
  for (let nth = 0; nth < 2; nth++) {
    const { body, statusCode } = await send(head)
    test.equal(statusCode, 200)
    const chunks: string[] = []
    await body.pipeTo((chunk, written) => {
      chunks.push(String(chunk))
      written()
    })
    test.equal(chunks.join(''), 'hello')
  }
  test.equal(server.sockets.length, 1)
  await until(() => events.includes('closed'))
  test.same(events, ['idle', 'idle', 'closed'])
  await test.rejects(send(head), StaleConnection)
})

await t.test('a large body is read on as it is taken', async (test) => {
  const blob = 'x'.repeat(3_000_000)
  const server = await scripted(test, (socket) => void socket.write(ok(blob)))
  const { send, close } = createConnection(originOf(server.url), {
    onIdle: () => undefined,
    onClosed: () => undefined,
  })
  const { body } = await send(head)
  let bytes = 0
  await body.pipeTo((chunk, written) => {
    bytes += chunk.length
    setImmediate(written)
  })
  test.equal(bytes, blob.length)
  close()
})

await t.test('nobody waits any more', async (test) => {
  const server = await scripted(test, () => undefined)
  const connection = createConnection(originOf(server.url), {
    onIdle: () => undefined,
    onClosed: () => undefined,
  })
  await test.rejects(connection.send(head, AbortSignal.abort(new Error('gone'))), { message: 'gone' })
  test.equal(server.requests.length, 0)
})

await t.test('a handshake that is never answered ends with the time for the connection', async (test) => {
  const server = await scripted(test, () => undefined)
  const url = new URL(`https://${server.url.host}/`)
  const timeouts = { connect: 20, head: 1_000_000, body: 1_000_000, idle: 1_000_000 }
  const { send } = createConnection(originOf(url, { timeouts }), {
    onIdle: () => undefined,
    onClosed: () => undefined,
  })
  await test.rejects(send(head), { name: 'TimeoutError' })
  await until(() => server.sockets.length === 1)
})

await t.test('upstream said that it is the last answer', async (test) => {
  const server = await scripted(test, (socket) => void socket.write(ok('hello', 'Connection: close\r\n')))
  const events: string[] = []
  const connection = createConnection(originOf(server.url), {
    onIdle: () => void events.push('idle'),
    onClosed: () => void events.push('closed'),
  })
  await connection.send(head)
  await until(() => events.length > 0)
  test.same(events, ['closed'])
})
