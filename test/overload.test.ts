import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import type { RegistryError } from '../src/errors.ts'
import { shedOverload } from '../src/overload.ts'
import { listen, raw, until } from './registry/fakes.ts'

await t.test('beyond the bound: 503 before anything is done, but for the kubelet', async (test) => {
  const app = Fastify()
  const seen = { shed: 0, begun: 0, failures: [] as unknown[] }
  const open: (() => void)[] = []
  app.decorateRequest('client', { getter: () => ({ address: '127.0.0.1', network: '127.0.0.1' }) })
  const overload = shedOverload({ maxRequests: 2, observeShed: () => void seen.shed++ })
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
