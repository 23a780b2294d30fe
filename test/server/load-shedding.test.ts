import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryError } from '../../src/oci/errors.ts'
import { shedLoad } from '../../src/server/load-shedding.ts'
import { listen, raw } from '../registry/fakes.ts'
import { until } from '../support/until.ts'

await t.test('over the limit: 503 before any work, except for the kubelet', async (test) => {
  const app = Fastify()
  const seen = { shed: 0, begun: 0, failures: [] as unknown[] }
  const open: (() => void)[] = []
  app.decorateRequest('client', { getter: () => ({ address: '127.0.0.1', network: '127.0.0.1' }) })
  const overload = shedLoad({ maxRequests: 2, observeShed: () => void seen.shed++ })
  app.addHook('onRequest', overload.onRequest)
  app.addHook('onRequest', async () => void seen.begun++)
  app.setErrorHandler((error, _request, reply) => {
    seen.failures.push(error)
    return reply.code((error as RegistryError).status).send('')
  })
  app.get('/slow', async () => {
    await new Promise<void>((resolve) => open.push(resolve))
    return 'ok'
  })
  for (const path of ['/healthz', '/readyz']) app.get(path, async () => 'ok')
  const port = await listen(test, app)
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status

  const slow = [get('/slow'), get('/slow')]
  await until(() => open.length === 2)
  test.equal(await get('/slow'), 503)
  test.equal(await get('/nothing'), 503)
  test.match(
    await raw(port, 'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n'),
    / 503 /,
  )
  test.strictSame(seen, { shed: 3, begun: 2, failures: seen.failures })
  for (const failure of seen.failures)
    test.match(failure, { code: 'UNAVAILABLE', status: 503, headers: { 'retry-after': '1' } })
  test.strictSame([await get('/healthz'), await get('/readyz')], [200, 200])
  test.equal(await get('/slow'), 503, 'those have left, and the others are still there')

  for (const end of open.splice(0)) end()
  test.strictSame(await Promise.all(slow), [200, 200])
  const third = get('/slow')
  await until(() => open.length === 1)
  open.pop()?.()
  test.equal(await third, 200)

  // A client that leaves gives its place back.
  const left = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  for (const socket of left) socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => open.length === 2)
  for (const socket of left) socket.resetAndDestroy()
  while ((await get('/nothing')) !== 404);
  test.equal(await get('/nothing'), 404)
})

const serveShared = async (test: Test, maxRequests: number) => {
  const app = Fastify()
  let shed = 0
  app.decorateRequest('client', {
    getter() {
      const network = String(this.headers['x-network'] ?? '')
      return { address: network, network }
    },
  })
  const overload = shedLoad({ maxRequests, observeShed: () => void shed++ })
  app.addHook('onRequest', overload.onRequest)
  app.setErrorHandler((error, _request, reply) => reply.code((error as RegistryError).status).send(''))
  const open: (() => void)[] = []
  const slow = async () => {
    await new Promise<void>((resolve) => open.push(resolve))
    return 'ok'
  }
  app.get('/slow', slow)
  app.post('/form', { preValidation: overload.onBody }, slow)
  const port = await listen(test, app)
  const ask = async (network: string, path = '/slow', options: RequestInit = {}) =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'x-network': network }, ...options })).status
  return { port, ask, open, shed: () => shed }
}

await t.test(
  'attack: one address takes three quarters of the limit; the next address is served',
  async (test) => {
    const { ask, open, shed } = await serveShared(test, 16)
    const greedy = Array.from({ length: 30 }, async () => await ask('203.0.113.9'))
    await until(() => shed() === 18)
    test.equal(open.length, 12)
    const others = ['a', 'b'].map(async (network) => await ask(network))
    await until(() => open.length === 14)
    for (const end of open.splice(0)) end()
    test.same(await Promise.all(others), [200, 200])
    const statuses = await Promise.all(greedy)
    test.equal(statuses.filter((status) => status === 503).length, 18)
    const again = Array.from({ length: 12 }, async () => await ask('203.0.113.9'))
    await until(() => open.length === 12)
    for (const end of open) end()
    test.same([...new Set(await Promise.all(again))], [200], 'what was shared is given back')
  },
)

await t.test('attack: an incomplete form does not count, a complete one does', async (test) => {
  const { port, ask, open, shed } = await serveShared(test, 2)
  const head = 'POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n'
  const announced = Array.from({ length: 8 }, () => connect(port, '127.0.0.1'))
  for (const socket of announced) socket.on('error', () => undefined).write(head)
  const slow = [ask('a'), ask('b')]
  await until(() => open.length === 2)
  const form = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }
  test.equal(await ask('c', '/form', form), 503, 'this one is whole, and finds none')
  test.equal(shed(), 1)
  for (const end of open.splice(0)) end()
  test.same(await Promise.all(slow), [200, 200])
  for (const socket of announced) socket.destroy()
  const whole = ask('c', '/form', form)
  await until(() => open.length === 1)
  open[0]?.()
  test.equal(await whole, 200)
})

await t.test('a form whose connection is closed does not count', async (test) => {
  const { onBody } = shedLoad({ maxRequests: 0, observeShed: () => test.fail('nobody is sent away') })
  const reply = { raw: { destroyed: true } }
  onBody.call({} as never, {} as never, reply as never, () => test.fail('nor goes on'))
  test.pass()
})
