/** The whole server behind a load balancer that says whom it speaks for. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { buildServer } from '../../src/server/server.ts'
import { listen, untilNoConnections } from '../registry/fakes.ts'
import { serverOptions, type FlatOptions } from './server-options.ts'
import { until } from '../support/until.ts'
import { selfSigned } from '../support/tls.ts'
import { binaryHeader, textHeader } from './proxy-headers.ts'
import { answerTo } from '../support/answer-to.ts'

const serve = async (test: Test, more: Partial<FlatOptions> = {}, trustedProxies = ['127.0.0.1']) => {
  const shed: string[] = []
  const { options, lines } = serverOptions({
    observeShed: (reason) => shed.push(reason),
    trustedProxies,
    proxyProtocol: true,
    ...more,
  })
  const app = await buildServer(options)
  const port = await listen(test, app)
  const dial = (localAddress = '127.0.0.1') => {
    const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined)
    test.teardown(() => socket.destroy())
    return socket
  }
  const requests = () => lines.filter(({ msg }) => msg === 'request')
  return { app, dial, lines, requests, shed }
}

const get = (fields = '', path = '/v2/') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`
const closing = get('Connection: close\r\n')

const headers = [
  [textHeader('203.0.113.9'), '203.0.113.9'],
  [textHeader('2001:db8::1'), '2001:db8::1'],
  [Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
  [binaryHeader({ source: '203.0.113.9', more: Buffer.alloc(300) }), '203.0.113.9'],
  [binaryHeader({ source: '2001:db8::1' }), '2001:db8::1'],
  [binaryHeader({ command: 0x20 }), '127.0.0.1'],
] as const

await t.test(
  'headers x chunks: the header names the client, and the request is read as a whole',
  async (test) => {
    const { dial, requests } = await serve(test)
    let count = 0
    for (const [header, client] of headers)
      for (const cut of [
        0,
        1,
        header.length - 1,
        header.length,
        header.length + 10,
        header.length + closing.length,
      ]) {
        const bytes = Buffer.concat([header, Buffer.from(closing)])
        const socket = dial()
        const answer = answerTo(socket)
        socket.setNoDelay(true)
        socket.write(bytes.subarray(0, cut))
        await new Promise((resolve) => setTimeout(resolve, 5))
        socket.write(bytes.subarray(cut))
        test.match(await answer, /^HTTP\/1\.1 401 /)
        count += 1
        await until(() => requests().length === count)
        test.equal(requests().at(-1)?.['client'], client)
      }
  },
)

await t.test('over TLS: the header comes before the handshake', async (test) => {
  const { cert, key } = selfSigned()
  const { app, dial, requests } = await serve(test, { tls: { cert: String(cert), key: String(key) } })
  for (const [header, client] of headers) {
    const raw = dial()
    await once(raw, 'connect')
    raw.write(header)
    const socket = connectTls({ socket: raw, ca: cert, servername: 'localhost' })
    const before = requests().length
    socket.write(get() + closing)
    test.match(await answerTo(socket), /^HTTP\/1\.1 401 [^]*HTTP\/1\.1 401 /)
    await until(() => requests().length === before + 2)
    test.equal(requests().at(-1)?.['client'], client)
  }
  await untilNoConnections(app.server)
})

await t.test('over TLS: header and hello in one packet', async (test) => {
  const { cert, key } = selfSigned()
  const { dial, requests } = await serve(test, { tls: { cert: String(cert), key: String(key) } })
  const raw = dial()
  await once(raw, 'connect')
  raw.cork()
  raw.write(binaryHeader({ source: '203.0.113.9' }))
  const socket = connectTls({ socket: raw, ca: cert, servername: 'localhost' })
  setImmediate(() => raw.uncork())
  socket.write(closing)
  test.match(await answerTo(socket), /^HTTP\/1\.1 401 /)
  await until(() => requests().length === 1)
  test.equal(requests()[0]?.['client'], '203.0.113.9')
})

await t.test('a connection lives on: one header, many requests, a large head, a form', async (test) => {
  const { dial, requests } = await serve(test)
  const socket = dial()
  socket.write(textHeader('203.0.113.9'))
  let answers = ''
  socket.on('data', (chunk) => {
    answers += String(chunk)
  })
  const statuses = () => answers.match(/HTTP\/1\.1 \d+/g) ?? []
  const form = 'grant_type=password&username=u&password=p'
  const all = [
    get(),
    get(`x: ${'a'.repeat(60_000)}\r\n`),
    `POST /v2/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`,
    get(),
  ]
  for (const [index, one] of all.entries()) {
    socket.write(one)
    await until(() => requests().length === index + 1 && statuses().length === index + 1)
  }
  test.same(statuses(), ['HTTP/1.1 401', 'HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 401'])
  test.same([...new Set(requests().map(({ client }) => client))], ['203.0.113.9'])
})

await t.test('attack: a client that the proxy cannot name writes X-Forwarded-For', async (test) => {
  const { dial, requests } = await serve(test)
  const rows = [
    [Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
    [Buffer.from('PROXY UNKNOWN 203.0.113.9 10.0.0.1 1 2\r\n'), '127.0.0.1'],
    [binaryHeader({ family: 0, more: Buffer.alloc(30) }), '127.0.0.1'],
    [binaryHeader({ command: 0x20 }), '198.51.100.1'],
    [binaryHeader({ command: 0x20, source: '203.0.113.9' }), '198.51.100.1'],
  ] as const
  for (const [index, [header, client]] of rows.entries()) {
    dial().write(Buffer.concat([header, Buffer.from(get('X-Forwarded-For: 198.51.100.1\r\n'))]))
    await until(() => requests().length === index + 1)
    test.equal(requests().at(-1)?.['client'], client, header.toString('latin1'))
  }
})

await t.test('X-Forwarded-For of a trusted peer is believed, that of a named client is not', async (test) => {
  const { dial, requests } = await serve(test, {}, ['127.0.0.1', '10.0.0.0/8'])
  const rows = [
    ['203.0.113.9', '203.0.113.9'],
    ['10.0.0.7', '198.51.100.1'],
  ] as const
  for (const [index, [source, client]] of rows.entries()) {
    const socket = dial()
    socket.write(Buffer.concat([textHeader(source), Buffer.from(get('X-Forwarded-For: 198.51.100.1\r\n'))]))
    await until(() => requests().length === index + 1)
    test.equal(requests().at(-1)?.['client'], client)
  }
})

await t.test('attack: a PROXY protocol header of an untrusted peer is no header', async (test) => {
  const { dial, requests, shed } = await serve(test, {}, ['127.0.0.2'])
  const plain = dial('127.0.0.3')
  plain.write(closing)
  test.match(await answerTo(plain), /^HTTP\/1\.1 401 /)
  await until(() => requests().length === 1)
  test.equal(requests()[0]?.['client'], '127.0.0.3')
  const lying = dial('127.0.0.3')
  lying.write(Buffer.concat([textHeader('203.0.113.9'), Buffer.from(closing)]))
  test.match(await answerTo(lying), /^HTTP\/1\.1 400 /)
  test.same(shed, [])
})

await t.test(
  'malformed, too long, late, ended and reset headers: the connection ends without a response',
  async (test) => {
    const { app, dial, lines, shed } = await serve(test, { limits: { proxyHeaderMs: 60 } })
    const long = binaryHeader({ source: '203.0.113.9', more: Buffer.alloc(60_000) })
    const silent = dial()
    const partial = dial()
    partial.write('PROXY TCP4')
    const trickling = dial()
    const timer = setInterval(() => trickling.write(' '), 5)
    trickling.write('PROXY UNKNOWN')
    trickling.once('close', () => clearInterval(timer))
    const cut = [dial(), dial(), dial()]
    cut[0]?.write(closing)
    cut[1]?.write(long)
    cut[2]?.end('PROXY TCP4 203.')
    const answers = await Promise.all([silent, partial, trickling, ...cut].map(answerTo))
    test.same([...new Set(answers)], [''])
    test.equal(shed.length, 6)
    test.same([...new Set(shed)], ['proxy-protocol'])
    test.equal(lines.length, 6)
    test.match(lines[0], { msg: 'connection cut', client: '127.0.0.1', reason: 'proxy-protocol' })
    const reset = dial()
    await once(reset, 'connect')
    reset.write('PROXY ', () => reset.resetAndDestroy())
    await untilNoConnections(app.server)
  },
)

await t.test('shares count by named client: one client of a proxy cannot take all', async (test) => {
  const { dial, shed, app } = await serve(test, { limits: { maxConnections: 4 } })
  const greedy = Array.from({ length: 4 }, () => dial())
  for (const socket of greedy)
    socket.write(Buffer.concat([textHeader('203.0.113.9'), Buffer.from('GET / HT')]))
  const count = () =>
    new Promise<number>((resolve) => app.server.getConnections((_error, number) => resolve(number)))
  while ((await count()) < 4) await new Promise((resolve) => setTimeout(resolve, 2))
  await new Promise((resolve) => setTimeout(resolve, 20))
  const alice = dial()
  alice.write(Buffer.concat([textHeader('198.51.100.7'), Buffer.from(closing)]))
  test.match(await answerTo(alice), /^HTTP\/1\.1 401 /)
  test.same(shed, ['connections'])
})

await t.test('close ends idle connections at once, also before their header', async (test) => {
  const { app, dial, requests } = await serve(test)
  const idle = dial()
  idle.resume().write(Buffer.concat([textHeader('203.0.113.9'), Buffer.from(get())]))
  await until(() => requests().length === 1)
  const partial = dial()
  partial.resume().write('PROXY ')
  await new Promise((resolve) => setTimeout(resolve, 10))
  await app.close()
  await Promise.all([idle, partial].map(async (socket) => socket.closed || (await once(socket, 'close'))))
  test.notOk(app.server.listening)
})
