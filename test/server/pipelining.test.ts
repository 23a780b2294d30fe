import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import type { Test } from 'tap'
import t from 'tap'
import { inTurn } from '../../src/server/pipelining.ts'
import { listen, raw, untilNoConnections } from '../registry/fakes.ts'
import { until } from '../support/until.ts'

const serve = async (test: Test, maxPipelined: number) => {
  const app = Fastify()
  const cut: (string | undefined)[] = []
  const begun: string[] = []
  const open: (() => void)[] = []
  app.addHook(
    'onRequest',
    inTurn({ maxPipelined, onConnectionCut: (socket) => cut.push(socket.remoteAddress) }),
  )
  app.addHook('onRequest', async (request) => void begun.push(request.url))
  app.get('/slow/:n', async (request) => {
    await new Promise<void>((resolve) => open.push(resolve))
    return request.url
  })
  app.get('/last', async (request, reply) => reply.header('connection', 'close').send(request.url))
  const port = await listen(test, app)
  return { port, cut, begun, open, untilNone: async () => await untilNoConnections(app.server) }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

await t.test('pipelined requests are served one after the other, in order', async (test) => {
  const { port, cut, begun, open } = await serve(test, 3)
  const answer = raw(port, get('/slow/1') + get('/slow/2') + get('/slow/3') + get('/last'))
  for (const n of [1, 2, 3]) {
    await until(() => open.length === n)
    test.equal(begun.length, n, 'the next one has not begun')
    open.at(-1)?.()
  }
  test.match(await answer, /\/slow\/1HTTP[^]*\/slow\/2HTTP[^]*\/slow\/3HTTP[^]*\/last$/)
  test.same(cut, [])
})

await t.test('attack: thousands of pipelined requests are neither begun nor read', async (test) => {
  const { port, cut, begun, untilNone } = await serve(test, 3)
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  socket.write(get('/slow/1').repeat(10_000))
  await new Promise((resolve) => socket.once('close', resolve))
  test.same(begun, ['/slow/1'])
  test.same(cut, ['127.0.0.1'], 'once')
  test.ok(socket.bytesRead === 0)
  await untilNone()
})

await t.test('the limit applies anew once earlier requests are complete', async (test) => {
  const { port, cut, begun, open } = await serve(test, 1)
  const socket = connect(port, '127.0.0.1')
  const answer = text(socket)
  for (const n of [1, 2, 3]) {
    socket.write(n === 1 ? get('/slow/1') + get('/slow/2') : get(n === 2 ? '/slow/3' : '/last'))
    await until(() => open.length === n)
    open.at(-1)?.()
  }
  test.match(await answer, /\/slow\/3HTTP[^]*\/last$/)
  test.equal(begun.length, 4)
  test.same(cut, [])
})

await t.test('a request whose client disconnects before its turn is not begun', async (test) => {
  const { port, begun, open, untilNone } = await serve(test, 3)
  const socket = connect(port, '127.0.0.1')
  socket.write(get('/slow/1') + get('/slow/2'))
  await until(() => open.length === 1)
  socket.resetAndDestroy()
  await untilNone()
  open[0]?.()
  await raw(port, get('/last'))
  test.same(begun, ['/slow/1', '/last'])
})
