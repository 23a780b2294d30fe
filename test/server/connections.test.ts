/** The whole server, and clients that want all there is of it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { buildServer } from '../../src/server/server.ts'
import { bearer, digest, listen, untilNoConnections } from '../registry/fakes.ts'
import { serverOptions, type FlatOptions } from './server-options.ts'
import { until } from '../support/until.ts'
import { selfSigned } from '../support/tls.ts'
import { answerTo } from '../support/answer-to.ts'

const serve = async (test: Test, more: Partial<FlatOptions> = {}, trustedProxies: readonly string[] = []) => {
  const shed: string[] = []
  const { options, lines } = serverOptions({
    observeShed: (reason) => shed.push(reason),
    trustedProxies,
    ...more,
  })
  const app = await buildServer(options)
  const port = await listen(test, app)
  const dial = (localAddress: string) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined)
    test.teardown(() => socket.destroy())
    return socket
  }
  const count = () =>
    new Promise<number>((resolve) => app.server.getConnections((_error, number) => resolve(number)))
  const untilCount = async (number: number) => {
    while ((await count()) !== number) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return { app, dial, lines, shed, untilCount, port }
}

const get = 'GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

const announced =
  'POST /v2/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n'

await t.test(
  'attack: all connections of one address, idle or unfinished: another address is served',
  async (test) => {
    for (const bytes of [
      '',
      'GET /v2/ HTTP/1.1\r\nx: ',
      'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n',
      announced,
    ]) {
      const { dial, shed, untilCount } = await serve(test, { limits: { maxConnections: 50 } })
      const greedy = Array.from({ length: 60 }, () => dial('127.0.0.2'))
      for (const socket of greedy) socket.resume().write(bytes)
      await until(() => shed.filter((reason) => reason === 'connections').length === 10)
      await untilCount(50)
      const before = shed.length
      for (let round = 0; round < 3; round++) {
        const alice = dial('127.0.0.3')
        alice.write(get)
        test.match(await answerTo(alice), /^HTTP\/1\.1 401 /, JSON.stringify(bytes))
      }
      test.ok(shed.length <= before + 3)
      test.ok(shed.every((reason) => reason === 'connections' || reason === 'forms'))
    }
  },
)

await t.test('with TLS too, before and after the handshake', async (test) => {
  const { cert, key } = selfSigned()
  const { app, dial, shed, untilCount, port } = await serve(test, {
    tls: { cert: String(cert), key: String(key) },
    limits: { maxConnections: 6 },
  })
  const secure = (localAddress: string) => {
    const socket = connectTls({ socket: dial(localAddress), ca: cert, servername: 'localhost' })
    socket.on('error', () => undefined)
    return socket
  }
  const greedy = [dial('127.0.0.2'), dial('127.0.0.2'), dial('127.0.0.2'), dial('127.0.0.2')]
  const [first, second] = [secure('127.0.0.2'), secure('127.0.0.2')]
  await Promise.all([first, second].map(async (socket) => await once(socket, 'secureConnect')))
  await untilCount(6)
  first.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(first, 'data')
  for (let round = 0; round < 6; round++) {
    const alice = secure('127.0.0.3')
    alice.write(get)
    test.match(await answerTo(alice), /^HTTP\/1\.1 401 /)
  }
  test.ok(shed.length > 0 && port > 0)
  for (const socket of [...greedy, first, second]) socket.destroy()
  await untilNoConnections(app.server)
})

await t.test('behind a trusted proxy no client is cut for other clients of that proxy', async (test) => {
  const { dial, shed, untilCount } = await serve(test, { limits: { maxConnections: 4 } }, ['127.0.0.2'])
  const router = Array.from({ length: 3 }, () => dial('127.0.0.2'))
  await untilCount(3)
  const direct = dial('127.0.0.3')
  await untilCount(4)
  const other = dial('127.0.0.4')
  await once(other, 'close')
  test.same(shed, ['connections'])
  test.notOk([...router, direct].some(({ closed }) => closed))
})

await t.test(
  'attack: heads that never end are cut over the limit, the largest address first',
  async (test) => {
    const { dial, shed, lines, untilCount } = await serve(test, {
      limits: { maxHeadBytes: 500_000, headSweepMs: 5 },
    })
    const small = dial('127.0.0.3')
    small.write('GET /v2/ HTTP/1.1\r\nx: ')
    await untilCount(1)
    const half = `GET /v2/ HTTP/1.1\r\nx: ${'a'.repeat(60_000)}`
    const greedy = Array.from({ length: 20 }, () => dial('127.0.0.2'))
    for (const socket of greedy) socket.write(half)
    await until(() => shed.length >= 12)
    test.same([...new Set(shed)], ['heads'])
    test.match(lines[0], { msg: 'connection cut', client: '127.0.0.2', reason: 'heads' })
    small.write('a\r\nHost: x\r\nConnection: close\r\n\r\n')
    test.match(await answerTo(small), /^HTTP\/1\.1 401 /)
    test.ok(
      greedy.some(({ closed }) => !closed),
      'and not more than that',
    )
  },
)

await t.test('attack: slow logins of one address: another address logs in', async (test) => {
  const open: (() => void)[] = []
  const { dial, shed, lines } = await serve(test, {
    limits: { maxLogins: 8 },
    authenticate: async () => {
      await new Promise<void>((resolve) => open.push(resolve))
      throw new TypeError('nobody')
    },
  })
  const asking = `GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: ${bearer.authorization}\r\nConnection: close\r\n\r\n`
  const greedy = Array.from({ length: 10 }, () => dial('127.0.0.2'))
  for (const socket of greedy) socket.write(asking)
  await until(() => shed.length === 6)
  test.same([...new Set(shed)], ['logins'])
  dial('127.0.0.3').write(asking)
  await until(() => open.length === 5)
  for (const end of open) end()
  await until(() => lines.filter(({ msg }) => msg === 'request').length === 11)
})

/** Heads that are hard to read for somebody, of nearly as much as may be. */
const hostile = [
  `X-Forwarded-For: ?${'http://'.repeat(8500)}`,
  `X-Forwarded-For: ${'1.2.3.4,'.repeat(7000)}`,
  `X-Forwarded-For: ${','.repeat(60_000)}`,
  `X-Forwarded-For: ${' '.repeat(30_000)}x${' '.repeat(30_000)}`,
  `X-Forwarded-For: ${'['.repeat(60_000)}`,
  `X-Forwarded-For: ${':'.repeat(60_000)}`,
  `Authorization: Bearer ${'a'.repeat(60_000)}`,
  `Authorization: Basic ${'a '.repeat(8000)}`,
  `Authorization: ${'Bearer '.repeat(8000)}`,
  `Accept: ${'a/b;q=0.1,'.repeat(6000)}`,
  `Accept: ${' '.repeat(60_000)}`,
  `If-None-Match: ${'"a",'.repeat(15_000)}`,
  `If-None-Match: ${'"'.repeat(60_000)}`,
  `If-None-Match: ${','.repeat(60_000)}`,
  `Range: bytes=${'0-1,'.repeat(15_000)}`,
  `Cookie: ${'a=b;'.repeat(15_000)}`,
  `Content-Type: ${'a/b;'.repeat(15_000)}`,
  Array.from({ length: 900 }, (_, index) => `x-${index}: ${'a'.repeat(50)}`).join('\r\n'),
]

await t.test('attack: a hostile head stalls the event loop for a short time only', async (test) => {
  const { dial, lines } = await serve(test, {}, ['127.0.0.1'])
  const paths = ['/v2/', `/v2/ocp/4.5/blobs/${digest}`, `/v2/${'a'.repeat(1000)}?${'a=b&'.repeat(100)}`]
  const stallOf = async (head: string): Promise<number> => {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    const before = lines.length
    const socket = dial('127.0.0.1')
    await once(socket, 'connect')
    delay.enable()
    socket.end(head)
    await answerTo(socket)
    await until(() => lines.length > before)
    delay.disable()
    return delay.max / 1e6
  }
  for (const fields of hostile)
    for (const path of paths) {
      const own = fields.startsWith('Authorization') ? '' : `Authorization: ${bearer.authorization}\r\n`
      const head = `GET ${path} HTTP/1.1\r\nHost: x\r\n${own}Connection: close\r\n${fields}\r\n\r\n`
      // The least of some tries: what else the machine does is nobody's stall.
      let least = Infinity
      for (let round = 0; round < 8 && least > 50; round++) least = Math.min(least, await stallOf(head))
      test.ok(least < 50, `${least} ms: ${path.slice(0, 20)} ${fields.slice(0, 40)}`)
    }
  test.ok(lines.every((line) => JSON.stringify(line).length < 12_288))
  test.ok(lines.every(({ client }) => client === undefined || /^"[\d.]+"$/.test(JSON.stringify(client))))
})

await t.test('with the PROXY protocol, connections count for the named client', async (test) => {
  const shed: string[] = []
  const { options, lines } = serverOptions({
    observeShed: (reason) => shed.push(reason),
    limits: { maxConnections: 3 },
    trustedProxies: ['127.0.0.1'],
    proxyProtocol: true,
  })
  const app = await buildServer(options)
  const port = await listen(test, app)
  const dial = (source: string) => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    test.teardown(() => socket.destroy())
    socket.resume().write(`PROXY TCP4 ${source} 10.0.0.1 1 2\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`)
    return socket
  }
  const greedy = [1, 2, 3].map(() => dial('203.0.113.9'))
  await until(() => lines.length === 3)
  const alice = dial('198.51.100.7')
  await until(() => lines.length === 4)
  test.equal(lines[3]?.['client'], '198.51.100.7')
  test.same(shed, ['connections'])
  await until(() => greedy.some(({ closed }) => closed))
  alice.destroy()
})
