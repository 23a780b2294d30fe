import { EventEmitter, once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer as createNetServer, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { cutStalledClients } from '../../src/server/stalled-clients.ts'
import { untilNoConnections } from '../registry/fakes.ts'
import { until } from '../support/until.ts'
import { selfSigned } from '../support/tls.ts'

const piece = Buffer.alloc(256 * 1024)

/** Writes for as long as somebody takes it, as a blob is written. */
const writeOn = (response: ServerResponse): void => {
  response.write(piece, (error) => {
    if (error == null) writeOn(response)
  })
}

const setUp = async (test: Test, server: Server, minBytes = 1024 * 1024) => {
  const clock = { now: 0 }
  const cut: (string | undefined)[] = []
  const responses: ServerResponse[] = []
  server.on('request', (_request, response) => responses.push(response))
  cutStalledClients(server, {
    stallMs: 1000,
    minBytes,
    sweepMs: 2,
    now: () => clock.now,
    onConnectionCut: (socket) => cut.push(socket.remoteAddress),
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  /** A client that asked, and reads nothing yet. */
  const ask = async (socket: Socket, event: 'connect' | 'secureConnect') => {
    const before = responses.length
    socket.on('error', () => undefined)
    test.teardown(() => socket.destroy())
    await once(socket, event)
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => responses.length > before)
    return { socket, response: responses.at(-1) as ServerResponse }
  }
  return { clock, cut, port, ask, server }
}

/** A few looks, with nothing else to wait for. */
const looks = () => new Promise((resolve) => setTimeout(resolve, 20))

/** Until the kernel takes no more for the client. */
const untilFull = async (response: ServerResponse): Promise<void> => {
  const { _handle: handle } = response.socket as unknown as { _handle: Record<string, number> }
  let before = ''
  for (let same = 0; same < 3;) {
    await looks()
    const after = `${handle['bytesWritten']} ${handle['writeQueueSize']}`
    same = after === before ? same + 1 : 0
    before = after
  }
}

const overTcp = (port: number) => connect(port, '127.0.0.1')

await t.test(
  'a client that reads nothing of its response is cut, and its resources are released',
  async (test) => {
    const { clock, cut, port, ask, server } = await setUp(test, createServer())
    const { socket, response } = await ask(overTcp(port), 'connect')
    const closed = once(response, 'close')
    writeOn(response)
    await untilFull(response)
    clock.now += 999
    await looks()
    test.same(cut, [])
    clock.now += 1
    await closed
    test.same(cut, ['127.0.0.1'])
    test.equal(response.writableFinished, false)
    await untilNoConnections(server)
    await test.rejects(
      once(socket.resume(), 'close'),
      { code: 'ECONNRESET' },
      'nothing is offered any longer',
    )
  },
)

await t.test('attack: reading a little from time to time does not count', async (test) => {
  const { clock, cut, port, ask } = await setUp(test, createServer(), 1024 ** 3)
  const { socket, response } = await ask(overTcp(port), 'connect')
  const closed = once(response, 'close')
  writeOn(response)
  await untilFull(response)
  const { _handle: handle } = response.socket as unknown as { _handle: Record<string, number> }
  const taken = () => Number(handle['bytesWritten']) - Number(handle['writeQueueSize'])
  const before = taken()
  clock.now += 600
  socket.resume()
  await until(() => taken() > before)
  socket.pause()
  await untilFull(response)
  clock.now += 600
  await closed
  test.same(cut, ['127.0.0.1'])
})

await t.test('with TLS as well', async (test) => {
  const pair = selfSigned()
  const { clock, cut, port, ask, server } = await setUp(test, createTlsServer(pair))
  const client = connectTls({ port, host: '127.0.0.1', ca: pair.cert, servername: 'localhost' })
  const { response } = await ask(client, 'secureConnect')
  const closed = once(response, 'close')
  writeOn(response)
  await untilFull(response)
  clock.now += 1000
  await closed
  test.same(cut, ['127.0.0.1'])
  await untilNoConnections(server)
})

await t.test('a client that pauses and reads on is not cut', async (test) => {
  const { clock, cut, port, ask } = await setUp(test, createServer())
  const { socket, response } = await ask(overTcp(port), 'connect')
  writeOn(response)
  for (let round = 0; round < 3; round++) {
    await untilFull(response)
    clock.now += 900
    let taken = 0
    const read = (chunk: Buffer) => {
      taken += chunk.length
    }
    socket.on('data', read).resume()
    await until(() => taken > 4 * 1024 * 1024)
    socket.off('data', read).pause()
  }
  await untilFull(response)
  test.same(cut, [])
  test.notOk(response.destroyed)
})

await t.test('attack: a byte from time to time, read or sent, does not count', async (test) => {
  const { clock, cut, port, ask } = await setUp(test, createServer())
  const { socket, response } = await ask(overTcp(port), 'connect')
  const closed = once(response, 'close')
  writeOn(response)
  await untilFull(response)
  for (let round = 0; round < 9; round++) {
    clock.now += 100
    socket.write('\r\n')
    socket.read(1)
    await looks()
  }
  test.same(cut, [])
  clock.now += 100
  await closed
  test.same(cut, ['127.0.0.1'])
})

await t.test("a slow upstream is not the client's fault, and a later request starts anew", async (test) => {
  const { clock, cut, port, ask } = await setUp(test, createServer())
  const { socket, response } = await ask(overTcp(port), 'connect')
  socket.resume()
  response.write('the first byte')
  await looks()
  clock.now += 10_000
  await looks()
  response.write(piece)
  await looks()
  clock.now += 10_000
  await looks()
  test.same(cut, [])
  response.end()
  await once(response, 'close')
  clock.now += 10_000
  await looks()
  test.same(cut, [], 'an idle connection is for others to end')
})

await t.test('a connection that is being closed is left alone', async (test) => {
  const server = createNetServer()
  const closing = Object.assign(new EventEmitter(), { _handle: null })
  cutStalledClients(server, { stallMs: 0, minBytes: 1, sweepMs: 1, onConnectionCut: () => test.fail('cut') })
  server.emit('connection', closing)
  await looks()
  closing.emit('close')
  server.emit('close')
})

await t.test('a closed connection is forgotten; by the process clock', async (test) => {
  const server = createServer((_request, response) => writeOn(response))
  const cut: Socket[] = []
  cutStalledClients(server, {
    stallMs: 50,
    minBytes: 1,
    sweepMs: 1,
    onConnectionCut: (socket) => cut.push(socket),
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const left = overTcp(port)
  await once(left, 'connect')
  left.destroy()
  const stalled = overTcp(port).on('error', () => undefined)
  stalled.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => cut.length > 0)
  stalled.destroy()
  server.close()
  await once(server, 'close')
  test.equal(cut.length, 1)
})
