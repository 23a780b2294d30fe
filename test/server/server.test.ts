import { connect } from 'node:net'
import { once } from 'node:events'
import type { FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { buildServer, type LoginOptions } from '../../src/server/server.ts'
import { bearer, listen, untilNoConnections } from '../registry/fakes.ts'
import { anonymousIdentity } from '../../src/registry/authentication/anonymous.ts'
import { serveMirror } from '../page/mirror-queue/fake-mirror.ts'
import { codeOf, serve, serverOptions } from './server-options.ts'
import { until } from '../support/until.ts'

await t.test('alive always; ready once there is no reason against it', async (test) => {
  const reasons = ['shutting down', 'upstream was not asked yet']
  const { get, lines } = await serve(test, { notReady: () => reasons })
  test.match(await get('/healthz'), { status: 200, body: 'ok\n' })
  test.match(await get('/readyz'), { status: 503, body: 'shutting down\nupstream was not asked yet\n' })
  reasons.length = 0
  test.match(await get('/readyz'), { status: 200, body: 'ok\n' })
  await until(() => lines.length === 3)
  test.strictSame(
    lines.map(({ level }) => level),
    ['debug', 'debug', 'debug'],
  )
})

await t.test('the client of a request: the peer, or the client that a trusted proxy names', async (test) => {
  for (const [trustedProxies, client] of [
    [[], '127.0.0.1'],
    [['127.0.0.0/8'], '10.1.2.3'],
  ] as const) {
    const { get, lines } = await serve(test, { trustedProxies })
    await get('/v2/', { headers: { 'x-forwarded-for': '10.1.2.3' } })
    await until(() => lines.length === 1)
    test.equal(lines[0]?.['client'], client)
  }
})

await t.test('overload: 503 before any review, and probes succeed', async (test) => {
  const shed: string[] = []
  const { get, lines } = await serve(test, {
    observeShed: (reason) => shed.push(reason),
    authenticate: async () => test.fail('nobody looks at a credential') as never,
    limits: { maxRequests: 0 },
  })
  const { status, headers, body } = await get('/v2/ocp/4.5/manifests/base', { headers: bearer })
  test.strictSame([status, codeOf(body), headers.get('retry-after')], [503, 'UNAVAILABLE', '1'])
  test.equal(headers.get('content-type'), 'application/json')
  test.equal((await get('/healthz')).status, 200)
  test.same(shed, ['requests'])
  await until(() => lines.length === 2)
  test.match(lines[0], { requestId: headers.get('x-request-id'), status: 503 })
})

await t.test('over the connection limit: the newest connection ends without a response', async (test) => {
  const shed: string[] = []
  const { port } = await serve(test, {
    observeShed: (reason) => shed.push(reason),
    limits: { maxConnections: 1 },
  })
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const second = connect(port, '127.0.0.1').on('error', () => undefined)
  await new Promise((resolve) => second.once('close', resolve))
  test.equal(second.bytesRead, 0)
  test.same(shed, ['connections'])
  socket.write('GET /healthz HTTP/1.1\r\n\r\n')
  test.match(String(((await once(socket, 'data')) as [Buffer])[0]), /^HTTP\/1.1 200/)
  socket.destroy()
})

await t.test('attack: a client that reads nothing, and one that pipelines', async (test) => {
  const shed: string[] = []
  const { options, lines } = serverOptions({
    observeShed: (reason) => shed.push(reason),
    limits: { stallMs: 20, sweepMs: 5 },
  })
  const app = await buildServer(options)
  const closed = Promise.withResolvers<void>()
  app.get('/endless', async (_request, reply) => {
    reply.hijack()
    reply.raw.once('close', closed.resolve)
    for (let megabytes = 0; megabytes < 32; megabytes++) reply.raw.write(Buffer.alloc(1024 * 1024))
  })
  const port = await listen(test, app)
  const stalled = connect(port, '127.0.0.1').on('error', () => undefined)
  stalled.pause()
  stalled.write('GET /endless HTTP/1.1\r\n\r\n')
  await closed.promise
  await untilNoConnections(app.server)
  stalled.destroy()
  const greedy = connect(port, '127.0.0.1').on('error', () => undefined)
  greedy.write('GET /v2/ HTTP/1.1\r\n\r\n'.repeat(1000))
  await new Promise((resolve) => greedy.once('close', resolve))
  await untilNoConnections(app.server)
  test.same(shed, ['stalled', 'pipelined'])
  const cuts = lines.filter(({ msg }) => msg === 'connection cut')
  test.match(cuts, [
    { level: 'info', client: '127.0.0.1', reason: 'stalled' },
    { level: 'info', client: '127.0.0.1', reason: 'pipelined' },
  ])
})

await t.test('the observer is optional', async (test) => {
  const { get } = await serve(test, { limits: { maxRequests: 0 } })
  test.equal((await get('/v2/')).status, 503)
})

await t.test('a plugin of another room sees every request, after the access log', async (test) => {
  const seen: string[] = []
  const plugin: FastifyPluginCallback = (app, _options, done) => {
    app.addHook('onRequest', (request, _reply, next) => {
      seen.push(`${request.method} ${request.url} ${request.receivedAt > 0}`)
      next()
    })
    done()
  }
  const { get } = await serve(test, { plugins: [fp(plugin)] })
  await get('/v2/')
  test.strictSame(seen, ['GET /v2/ true'])
})

await t.test(
  'the page: a form over a connection that nobody else reads, and for everybody who may pull',
  async (test) => {
    const browser = { accept: 'text/html' }
    const anonymous: NonNullable<LoginOptions['anonymous']> = {
      recognize: (authenticate) => authenticate,
      admit: (authenticate) => async (credential, client) =>
        credential.kind === 'none'
          ? { identity: anonymousIdentity, bearerToken: undefined }
          : await authenticate(credential, client),
      mint: async () => ({ token: 'minted', expiresInSeconds: 60 }),
      denied: (denied) => denied,
    }
    const own = await serve(test, { anonymous })
    test.match((await own.get('/', { headers: browser })).body, 'Token (empty: without a login)')
    const open = await own.get('/', {
      method: 'POST',
      headers: { ...browser, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'image=ocp/4.5:base&token=',
    })
    test.match(open, { status: 200, body: /system:anonymous/ })
    const trusted = await serve(test, { trustedProxies: ['127.0.0.0/8'] })
    test.notMatch((await trusted.get('/', { headers: browser })).body, '<form')
    const https = { ...browser, 'x-forwarded-proto': 'https' }
    test.match((await trusted.get('/', { headers: https })).body, '<form')
    test.equal((await trusted.get('/')).status, 404)
  },
)

await t.test('with a mirror: a sync is logged with its requester', async (test) => {
  const { get, lines } = await serveMirror(test)
  test.equal((await get('/mirrors', { headers: bearer })).status, 200)
  test.equal((await get('/mirrors/ocp/ubi:9/sync', { method: 'POST', headers: bearer })).status, 202)
  const synced = lines.find(({ msg }) => msg === 'sync of the mirror')
  test.match(synced, { identity: 'alice', target: 'ocp/ubi:9', requestId: /^[0-9a-f-]{36}$/ })
})
