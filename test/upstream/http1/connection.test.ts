import t from 'tap'
import { createConnection } from '../../../src/upstream/http1/connection.ts'
import { StaleConnection } from '../../../src/upstream/http1/response-head-reader.ts'
import { until } from '../upstream.ts'
import { ok, originOf, patient, scripted } from './scripted.ts'

const head = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'

await t.test(
  'a connection serves one request at a time, is idle between them, and is closed when idle for long',
  async (test) => {
    const server = await scripted(test, (socket) => void socket.write(ok('hello')))
    const events: string[] = []
    const timeouts = { ...patient, idle: 100 }
    const connection = createConnection(originOf(server.url, { timeouts }), {
      onIdle: () => void events.push('idle'),
      onClosed: () => void events.push('closed'),
    })
    for (let nth = 0; nth < 2; nth++) {
      const { body, statusCode } = await connection.send(head)
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
    await test.rejects(connection.send(head), StaleConnection)
  },
)

await t.test('a large body is read as fast as the sink takes it', async (test) => {
  const blob = 'x'.repeat(3_000_000)
  const server = await scripted(test, (socket) => void socket.write(ok(blob)))
  const connection = createConnection(originOf(server.url), {
    onIdle: () => undefined,
    onClosed: () => undefined,
  })
  const { body } = await connection.send(head)
  let bytes = 0
  await body.pipeTo((chunk, written) => {
    bytes += chunk.length
    setImmediate(written)
  })
  test.equal(bytes, blob.length)
  connection.close()
})

await t.test('a request whose caller has left is not sent', async (test) => {
  const server = await scripted(test, () => undefined)
  const connection = createConnection(originOf(server.url), {
    onIdle: () => undefined,
    onClosed: () => undefined,
  })
  await test.rejects(connection.send(head, AbortSignal.abort(new Error('gone'))), { message: 'gone' })
  test.equal(server.requests.length, 0)
})

await t.test('an unanswered handshake ends after the connect timeout', async (test) => {
  const server = await scripted(test, () => undefined)
  const url = new URL(`https://${server.url.host}/`)
  const timeouts = { connect: 20, head: 1_000_000, body: 1_000_000, idle: 1_000_000 }
  const connection = createConnection(originOf(url, { timeouts }), {
    onIdle: () => undefined,
    onClosed: () => undefined,
  })
  await test.rejects(connection.send(head), { name: 'TimeoutError' })
  await until(() => server.sockets.length === 1)
})

await t.test('Connection: close in a response closes the connection', async (test) => {
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
