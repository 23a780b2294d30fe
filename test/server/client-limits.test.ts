/**
 * Slow and half-open clients, of a server whose times are short.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { defaultClientLimits, type ClientLimits } from '../../src/server/client-limits.ts'
import { buildServer } from '../../src/server/server.ts'
import { listen, untilNoConnections } from '../registry/fakes.ts'
import { serverOptions, type FlatOptions } from './server-options.ts'
import { until } from '../support/until.ts'
import { selfSigned } from '../support/tls.ts'
import { answerTo } from '../support/answer-to.ts'

const short: Partial<ClientLimits> = {
  headerTimeoutMs: 60,
  requestMs: 120,
  checkMs: 5,
  handshakeMs: 60,
  lingerMs: 30,
}

const serve = async (test: Test, more: Partial<FlatOptions> = {}) => {
  const { options, lines } = serverOptions({ limits: short, ...more })
  const app = await buildServer(options)
  app.get('/endless', async (_request, reply) => {
    reply.hijack()
    reply.raw.write('the first bytes')
  })
  app.get('/much', async (_request, reply) => {
    reply.hijack()
    reply.raw.write(Buffer.alloc(64 * 1024 * 1024))
  })
  const port = await listen(test, app)
  const dial = () => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    test.teardown(() => socket.destroy())
    return socket
  }
  return { app, port, lines, dial, untilNone: async () => await untilNoConnections(app.server) }
}

/** Sends a byte every few milliseconds, for as long as it is let. */
const trickle = (socket: Socket, bytes: string): void => {
  let sent = 0
  const timer = setInterval(() => {
    if (!socket.writable) clearInterval(timer)
    else socket.write(bytes[sent++ % bytes.length] as string)
  }, 5)
  socket.once('close', () => clearInterval(timer))
}

const tooSlow = /^HTTP\/1.1 408 [^]*content-type: application\/json[^]*"code":"UNSUPPORTED"/

await t.test('slow-loris: a head that trickles is a 408, and the connection ends', async (test) => {
  const { dial, lines, untilNone } = await serve(test)
  const heads = ['', 'GET /v2/ HTTP/1.1\r\n', 'GET /v2/ HTTP/1.1\r\nx: ']
  const clients = heads.map((head) => {
    const socket = dial()
    socket.write(head)
    trickle(socket, head === '' ? '\r\n' : 'a')
    return socket
  })
  for (const socket of clients) test.match(await answerTo(socket), tooSlow)
  await untilNone()
  test.match(
    lines,
    heads.map(() => ({ status: 408, reason: 'ERR_HTTP_REQUEST_TIMEOUT', client: '127.0.0.1' })),
  )
})

await t.test('a connection that sends nothing', async (test) => {
  const { dial, untilNone } = await serve(test)
  test.match(await answerTo(dial()), tooSlow)
  await untilNone()
})

await t.test('slow-loris: a form that trickles', async (test) => {
  const { dial, untilNone } = await serve(test)
  const form = dial()
  form.write(
    'POST /v2/auth HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 9999\r\n\r\n',
  )
  trickle(form, 'a')
  test.match(await answerTo(form), tooSlow)
  await untilNone()
})

await t.test('slow-loris: a refused body that trickles on after its response', async (test) => {
  // The head has all the time that a busy machine needs: the time after the response ends the connection.
  const { dial, untilNone } = await serve(test, { limits: { lingerMs: 30 } })
  const unwanted = dial()
  unwanted.write('PUT /v2/a/b/manifests/c HTTP/1.1\r\ncontent-length: 9999\r\n\r\n')
  trickle(unwanted, 'a')
  test.match(await answerTo(unwanted), /^HTTP\/1.1 401 /)
  await untilNone()
})

await t.test('a client that never closes its side after an error is cut', async (test) => {
  const { app, port, dial, untilNone } = await serve(test)
  const sockets = [
    'hello\r\n\r\n',
    'CONNECT a:1 HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nExpect: foo\r\n\r\n',
    '',
  ].map((bytes) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined)
    test.teardown(() => socket.destroy())
    socket.resume().write(bytes)
    return socket
  })
  await Promise.all(sockets.map(async (socket) => await once(socket, 'end')))
  await untilNone()
  test.ok(sockets.every(({ writableEnded }) => !writableEnded))
  test.ok(app.server.listening)
  dial().destroy()
})

await t.test('a client that does not read its response is cut', async (test) => {
  const { dial, lines, untilNone } = await serve(test, { limits: { stallMs: 50, sweepMs: 5 } })
  const socket = dial()
  socket.pause()
  socket.write('GET /much HTTP/1.1\r\n\r\n')
  await until(() => lines.length > 0)
  await untilNone()
  test.match(
    lines.filter(({ msg }) => msg === 'connection cut'),
    [{ reason: 'stalled' }],
  )
})

await t.test('a head of more than 64 kB gets its error while the client is still sending', async (test) => {
  const { dial, untilNone } = await serve(test, { limits: { lingerMs: 200 } })
  const [field, fields] = [`range: ${'a'.repeat(200_000)}`, 'a: b\r\n'.repeat(30_000)]
  for (const head of [field, fields]) {
    const socket = dial()
    socket.write(`GET /v2/ HTTP/1.1\r\n${head}`)
    test.match(await answerTo(socket), /^HTTP\/1.1 400 [^]*larger than 64 KiB/)
  }
  await untilNone()
})

await t.test('a head of many small fields is read, a head of thousands is not', async (test) => {
  const { dial } = await serve(test)
  for (const [fields, status] of [
    [500, 401],
    [10_000, 400],
  ] as const) {
    const socket = dial()
    socket.write(`GET /v2/ HTTP/1.1\r\nConnection: close\r\n${'a: b\r\n'.repeat(fields)}\r\n`)
    test.ok((await answerTo(socket)).startsWith(`HTTP/1.1 ${status} `), `${fields} fields`)
  }
})

await t.test('a TLS handshake that never ends, and bytes that are no handshake', async (test) => {
  const { cert, key } = selfSigned()
  const { dial, lines, untilNone } = await serve(test, {
    tls: { cert: String(cert), key: String(key) },
  })
  const silent = dial()
  const plain = dial()
  plain.write('GET / HTTP/1.1\r\n\r\n')
  const half = dial()
  half.write(Buffer.from([0x16, 3, 1, 2, 0, 1]))
  for (const socket of [silent, plain, half]) socket.resume()
  await untilNone()
  test.same(lines, [], 'nothing was asked')
})

await t.test('slow-loris: over TLS too', async (test) => {
  const { cert, key } = selfSigned()
  const { port, untilNone } = await serve(test, {
    tls: { cert: String(cert), key: String(key) },
    // On a busy machine a handshake takes a while, and the server's end of it is later than the client's.
    limits: { ...short, handshakeMs: 5000 },
  })
  const slow = connectTls({ port, host: '127.0.0.1', ca: cert, servername: 'localhost' })
  slow.on('error', () => undefined)
  await once(slow, 'secureConnect')
  trickle(slow, 'GET / HTTP/1.1\r\nx: ')
  test.match(await answerTo(slow), tooSlow)
  await untilNone()
})

await t.test('attack: malformed bytes in the middle of a response', async (test) => {
  const { dial, untilNone } = await serve(test)
  for (const next of ['hello\r\n\r\n', 'CONNECT a:1 HTTP/1.1\r\n\r\n', 'GET / HT']) {
    const socket = dial()
    let answer = ''
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write('GET /endless HTTP/1.1\r\n\r\n')
    await until(() => answer.includes('the first bytes'))
    socket.write(next)
    await closed
    test.match(answer, /the first bytes\r\n$/, `nothing is mixed into it: ${next}`)
  }
  await untilNone()
})

await t.test('an idle connection ends a second after its announced time', async (test) => {
  const { dial, untilNone } = await serve(test, { limits: { idleMs: 1000 } })
  const socket = dial()
  socket.write('GET /healthz HTTP/1.1\r\n\r\n')
  test.match(await answerTo(socket), /keep-alive: timeout=1\r\n/i)
  await untilNone()
})

await t.test('the default limits: each lies within the next', async (test) => {
  const { headerTimeoutMs, requestMs, idleMs, checkMs, maxRequests, maxConnections, sweepMs, stallMs } =
    defaultClientLimits
  test.ok(checkMs < headerTimeoutMs && headerTimeoutMs < requestMs && requestMs < idleMs)
  test.ok(sweepMs < stallMs)
  test.ok(maxRequests < maxConnections)
})
