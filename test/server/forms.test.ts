import { connect, type Socket } from 'node:net'
import Fastify from 'fastify'
import formbody from '@fastify/formbody'
import t from 'tap'
import type { Test } from 'tap'
import { errorBody, type RegistryError } from '../../src/oci/errors.ts'
import { readForms, type FormsOptions } from '../../src/server/forms.ts'
import { listen, untilNoConnections } from '../registry/fakes.ts'
import { until } from '../support/until.ts'

const form = 'grant_type=password&username=u&password=p'
const head = (path = '/form', length = form.length) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${length}\r\n\r\n`

const serve = async (test: Test, more: Partial<FormsOptions> = {}) => {
  const app = Fastify()
  const shed: string[] = []
  const whole: unknown[] = []
  app.decorateRequest('client', {
    getter() {
      const network = String(this.headers['x-network'] ?? 'one')
      return { address: network, network }
    },
  })
  const { isArriving } = readForms(app, {
    formMs: 60_000,
    maxForms: 100,
    observeShed: () => shed.push('forms'),
    whole: (request, _reply, done) => {
      whole.push(request.body)
      done()
    },
    ...more,
  })
  const sockets: Socket[] = []
  app.server.on('connection', (socket: Socket) => sockets.push(socket))
  app.setErrorHandler((error: RegistryError, _request, reply) =>
    reply.code(error.status).header('connection', 'close').send(errorBody(error)),
  )
  await app.register(formbody)
  const open: (() => void)[] = []
  app.post('/form', async (request) => request.body)
  app.post('/slow', async () => {
    await new Promise<void>((resolve) => open.push(resolve))
    return 'ok'
  })
  app.get('/form', async () => 'got')
  const port = await listen(test, app)
  const dial = (bytes: string) => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    test.teardown(() => socket.destroy())
    const state = { socket, answer: '' }
    socket.on('data', (chunk) => {
      state.answer += String(chunk)
    })
    socket.write(bytes)
    return state
  }
  const arriving = () => sockets.filter((socket) => isArriving(socket)).length
  return { app, dial, shed, whole, open, arriving }
}

await t.test('a complete form is handled, an incomplete one is not', async (test) => {
  const { dial, whole, arriving } = await serve(test)
  const half = dial(head() + form.slice(0, 5))
  await until(() => arriving() === 1)
  test.same(whole, [])
  half.socket.write(form.slice(5))
  await until(() => half.answer.includes('"username":"u"'))
  test.match(whole, [{ grant_type: 'password' }])
  test.equal(arriving(), 0)
  const get = dial('GET /form HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => get.answer.includes('got'))
  test.equal(whole.length, 1, 'what reads no body pays nothing')
})

await t.test('attack: an announced form that is never sent: 408, and the connection ends', async (test) => {
  const { app, dial, shed, arriving } = await serve(test, { formMs: 40 })
  const [silent, half] = [dial(head()), dial(head() + form.slice(1))]
  await until(() => silent.socket.closed && half.socket.closed)
  for (const { answer } of [silent, half]) test.match(answer, /^HTTP\/1\.1 408 [^]*took too long to arrive/)
  test.same(shed, ['forms', 'forms'])
  test.equal(arriving(), 0)
  await untilNoConnections(app.server)
})

await t.test('the deadline of a form ends when it is complete, or when there is none', async (test) => {
  const { dial, open, shed } = await serve(test, { formMs: 10 })
  const slow = [
    dial(head('/slow') + form),
    dial(head('/slow', 0)),
    dial('POST /slow HTTP/1.1\r\nHost: x\r\n\r\n'),
  ]
  await until(() => open.length === 3)
  await new Promise((resolve) => setTimeout(resolve, 40))
  for (const end of open) end()
  await until(() => slow.every(({ answer }) => / 200 OK/.test(answer)))
  test.same(shed, [])
})

await t.test(
  'attack: all unfinished forms from one address: a form from another address is read',
  async (test) => {
    const { dial, shed, arriving } = await serve(test, { maxForms: 8 })
    const greedy = Array.from({ length: 12 }, () => dial(head()))
    await until(() => greedy.filter(({ answer }) => / 503 [^]*from your address/.test(answer)).length === 8)
    test.equal(arriving(), 4)
    test.equal(shed.length, 8)
    const alice = dial(head().replace('Host: x', 'Host: x\r\nX-Network: other') + form)
    await until(() => alice.answer.includes('"username":"u"'))
    // Whoever leaves gives their place back.
    for (const { socket } of greedy) socket.destroy()
    await until(() => arriving() === 0)
    const next = dial(head() + form)
    await until(() => next.answer.includes('"username":"u"'))
  },
)
