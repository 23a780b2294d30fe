import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import { buildMetricsServer, buildServer, type Parts, type ServerConfig } from '../../src/server/server.ts'
import {
  bearer,
  digest,
  listen,
  partsFor,
  raw,
  refused,
  routesOptions,
  untilNoConnections,
} from '../registry/fakes.ts'
import { until } from '../support/until.ts'
import { selfSigned } from '../support/tls.ts'

const config: ServerConfig = { trustedProxies: [], proxyProtocol: false }

const serve = async (test: Test, more: Partial<Parts> = {}, settings = config) => {
  const { parts, lines } = partsFor(more)
  const app = await buildServer(settings, parts)
  const port = await listen(test, app)
  const url = `http://127.0.0.1:${port}`
  const get = async (path: string, options: Parameters<typeof fetch>[1] = {}) => {
    const response = await fetch(url + path, options)
    return { status: response.status, headers: response.headers, body: await response.text() }
  }
  return { app, port, url, parts, lines, get }
}

const codeOf = (body: string): string => {
  const { errors } = JSON.parse(body) as { errors: { code: string; message: string }[] }
  return errors.map(({ code }) => code).join()
}

/** Head and body of one answer as it went over the wire. */
const cut = (answer: string) => {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { head: head.toLowerCase(), body }
}

await t.test('alive always; ready once nothing keeps it', async (test) => {
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

await t.test(
  'trap 4: without a credential everything below /v2/ is the challenge, on every method',
  async (test) => {
    const { get } = await serve(test)
    const paths = ['/v2/', '/v2', '/v2/_catalog', '/v2/a/b/blobs/uploads/?mount=x', '/v2?ns=quay.io']
    for (const path of paths)
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const { status, headers, body } = await get(path, { method })
        test.equal(status, 401, `${method} ${path}`)
        test.match(headers.get('www-authenticate'), /^Bearer realm="[^"]+",service="[^"]+"$/)
        test.equal(headers.get('content-type'), 'application/json')
        if (method !== 'HEAD') test.equal(codeOf(body), 'UNAUTHORIZED')
      }
  },
)

await t.test('what is not served is UNSUPPORTED, and says what would be', async (test) => {
  const { get } = await serve(test)
  const rows = [
    ['GET', '/v2/_catalog', 404, 'GET, HEAD'],
    ['GET', '/', 404, 'GET, HEAD'],
    ['PUT', '/v2/ocp/4.5/manifests/base', 405, 'GET, HEAD'],
    ['POST', '/v2/ocp/4.5/blobs/uploads/', 405, 'GET, HEAD'],
    ['DELETE', '/v2/auth?a', 405, 'GET, HEAD, POST'],
  ] as const
  for (const [method, path, status, allow] of rows) {
    const answer = await get(path, { method, headers: bearer })
    test.equal(answer.status, status, `${method} ${path}`)
    test.equal(answer.headers.get('allow'), allow)
    test.equal(codeOf(answer.body), 'UNSUPPORTED')
    test.match(answer.headers.get('x-request-id'), /^[0-9a-f-]{36}$/)
    test.equal(answer.headers.get('docker-distribution-api-version'), 'registry/2.0')
  }
})

await t.test('a forward proxy it is not', async (test) => {
  const { port } = await serve(test)
  const { head, body } = cut(
    await raw(port, 'GET http://elsewhere/v2/ HTTP/1.1\r\nConnection: close\r\n\r\n'),
  )
  test.match(head, 'http/1.1 404')
  test.equal(codeOf(body), 'UNSUPPORTED')
})

await t.test('CONNECT is a 405, and the connection ends', async (test) => {
  const { port } = await serve(test)
  const { head, body } = cut(await raw(port, 'CONNECT elsewhere:443 HTTP/1.1\r\n\r\n'))
  test.match(head, 'http/1.1 405')
  test.match(head, 'allow: get, head')
  test.match(head, `content-length: ${body.length}`)
  test.equal(codeOf(body), 'UNSUPPORTED')
})

await t.test('CONNECT of somebody who resets the connection ends nothing else', async (test) => {
  const { port, get } = await serve(test)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('CONNECT elsewhere:443 HTTP/1.1\r\n\r\n', () => socket.resetAndDestroy())
  await once(socket, 'close')
  test.equal((await get('/healthz')).status, 200)
})

await t.test('trap 26: what is not HTTP is answered with OCI JSON', async (test) => {
  const { port, lines } = await serve(test)
  const { head, body } = cut(await raw(port, 'hello\r\n\r\n'))
  test.match(head, 'http/1.1 400')
  test.match(head, 'content-type: application/json\r\n')
  test.match(head, 'connection: close')
  const [, requestId] = /x-request-id: (\S+)/.exec(head) ?? []
  test.match(requestId, /^[0-9a-f-]{36}$/)
  test.equal(codeOf(body), 'UNSUPPORTED')
  test.match(lines, [{ level: 'info', requestId, msg: 'malformed request' }])
})

await t.test('trap 35: 1024 ranges pass; a head of more than 64 kB is a 400', async (test) => {
  const { get } = await serve(test)
  const headers = { ...bearer, range: `bytes=${'1000000-2000000,'.repeat(1560)}1-2` }
  test.ok(headers.range.length > 24_000)
  test.equal((await get(`/v2/a/b/blobs/${digest}`, { headers })).status, 404)
  const { port } = await serve(test)
  const { head, body } = cut(await raw(port, `GET / HTTP/1.1\r\nrange: ${'a'.repeat(70_000)}\r\n\r\n`))
  test.match(head, 'http/1.1 400')
  test.match(JSON.parse(body), { errors: [{ code: 'UNSUPPORTED', message: /larger than 64 KiB/ }] })
})

await t.test('a connection that is reset in the middle of a head is let go', async (test) => {
  const { port, get, app } = await serve(test)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET / HT', () => socket.resetAndDestroy())
  await once(socket, 'close')
  test.equal((await get('/healthz')).status, 200)
  const { promise, resolve } = Promise.withResolvers<void>()
  const [reset] = [Object.assign(new Error('reset'), { code: 'ECONNRESET' })]
  app.server.emit('clientError', reset, { writable: true, destroy: resolve })
  await promise
})

await t.test('bad escapes, and a component that is too long: NAME_INVALID with an id', async (test) => {
  const { get, lines } = await serve(test)
  for (const path of ['/v2/a/%zz/manifests/b', `/v2/a/b/manifests/${'c'.repeat(600)}`]) {
    const { status, headers, body } = await get(path, { headers: bearer })
    test.equal(status, 400)
    test.equal(codeOf(body), 'NAME_INVALID')
    test.equal(headers.get('content-type'), 'application/json')
    test.match(lines.at(-1), { requestId: headers.get('x-request-id'), status: 400, msg: 'malformed path' })
  }
})

await t.test('trap 25: a percent-encoded sha512 digest of 135 characters is a digest', async (test) => {
  const { get } = await serve(test)
  const sha512 = encodeURIComponent(`sha512:${'a'.repeat(128)}`)
  const { status, body } = await get(`/v2/a/b/manifests/${sha512}`, { headers: bearer })
  test.strictSame([status, codeOf(body)], [404, 'MANIFEST_UNKNOWN'])
})

await t.test('a mistake of ours: 503, the stack in the log, nothing of it in the answer', async (test) => {
  const { get, lines } = await serve(test, {
    fetchManifest: async () => {
      throw new TypeError('undefined is not hunter2')
    },
  })
  const { status, headers, body } = await get('/v2/ocp/4.5/manifests/base', { headers: bearer })
  test.strictSame([status, codeOf(body)], [503, 'UNAVAILABLE'])
  test.ok(Number(headers.get('retry-after')) > 0)
  test.notMatch(body, /hunter2|TypeError| at /)
  const requestId = headers.get('x-request-id')
  await until(() => lines.length === 2)
  test.match(lines, [
    {
      level: 'error',
      requestId,
      msg: 'unexpected error',
      stack: /TypeError: undefined is not hunter2\n +at /,
    },
    { level: 'warn', requestId, status: 503, error: 'UNAVAILABLE' },
  ])
})

await t.test("the framework's refusals of a body are a 400, and the connection ends", async (test) => {
  const { port } = await serve(test)
  const heads = [
    'content-type: application/json\r\ncontent-length: 2',
    'content-type: application/x-www-form-urlencoded\r\ncontent-length: 99999',
    'content-length: 10',
  ]
  for (const fields of heads) {
    const { head, body } = cut(await raw(port, `POST /v2/auth HTTP/1.1\r\n${fields}\r\n\r\n{}`))
    test.match(head, 'http/1.1 400', fields)
    test.match(head, 'connection: close', fields)
    test.equal(codeOf(body), 'UNSUPPORTED')
  }
})

await t.test('a body that nobody reads is not waited for', async (test) => {
  const { port } = await serve(test)
  for (const fields of ['content-length: 1000000', 'transfer-encoding: chunked']) {
    const { head, body } = cut(await raw(port, `PUT /v2/a/b/manifests/c HTTP/1.1\r\n${fields}\r\n\r\n`))
    test.match(head, 'http/1.1 401')
    test.match(head, 'connection: close')
    test.equal(codeOf(body), 'UNAUTHORIZED')
  }
})

await t.test('without a body the connection lives on', async (test) => {
  const { get } = await serve(test)
  const { headers } = await get('/v2/')
  test.equal(headers.get('connection'), 'keep-alive')
  test.match(headers.get('keep-alive'), 'timeout=75')
})

await t.test('the client of a request: the peer, or whom a trusted proxy names', async (test) => {
  for (const [trustedProxies, client] of [
    [[], '127.0.0.1'],
    [['127.0.0.0/8'], '10.1.2.3'],
  ] as const) {
    const { get, lines } = await serve(test, {}, { ...config, trustedProxies })
    await get('/v2/', { headers: { 'x-forwarded-for': '10.1.2.3' } })
    await until(() => lines.length === 1)
    test.equal(lines[0]?.['client'], client)
  }
})

await t.test('with a key pair it serves https', async (test) => {
  const { cert, key } = selfSigned()
  const { port } = await serve(test, { tls: { cert: String(cert), key: String(key) } })
  const dispatcher = new Agent({ connect: { ca: String(cert) } })
  test.teardown(() => dispatcher.destroy())
  const { statusCode, body } = await request(`https://localhost:${port}/healthz`, { dispatcher })
  test.equal(statusCode, 200)
  await body.dump()
})

await t.test('the metrics are served elsewhere', async (test) => {
  const { parts, get } = await serve(test)
  test.equal((await get('/metrics')).status, 404)
  const port = await listen(test, buildMetricsServer(parts.metrics))
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  test.match(response.headers.get('content-type'), 'text/plain')
  test.match(await response.text(), '# TYPE quay_proxy_requests_total counter')
})

await t.test('an expectation that nobody meets, and a request that never arrives', async (test) => {
  const { app, port } = await serve(test)
  test.equal(app.server.requestTimeout, 30_000)
  const answer = await raw(port, 'GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: foo\r\n\r\n')
  test.match(answer, /^HTTP\/1\.1 417 [^]*x-request-id: [^]*"code":"UNSUPPORTED"/)
})

await t.test('overload: 503 before anybody is asked, and the kubelet is told that we live', async (test) => {
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

await t.test(
  'too many connections: the last one ends without a word, and those before live on',
  async (test) => {
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
  },
)

await t.test('attack: a client that takes nothing of its answer, one that asks and asks', async (test) => {
  const shed: string[] = []
  const { parts, lines } = partsFor({
    observeShed: (reason) => shed.push(reason),
    limits: { stallMs: 20, sweepMs: 5 },
  })
  const app = await buildServer(config, parts)
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
  const cut = lines.filter(({ msg }) => msg === 'connection cut')
  test.match(cut, [
    { level: 'info', client: '127.0.0.1', reason: 'stalled' },
    { level: 'info', client: '127.0.0.1', reason: 'pipelined' },
  ])
})

await t.test('nobody need hear of it', async (test) => {
  const { get } = await serve(test, { limits: { maxRequests: 0 } })
  test.equal((await get('/v2/')).status, 503)
})

await t.test('a half-open client is noticed by the kernel', async (test) => {
  const { app } = await serve(test)
  test.match(app.server, { keepAlive: true, keepAliveInitialDelay: 60, headersTimeout: 10_000 })
})

await t.test(
  'attack: refused again and again, answered late; a challenge is not, and nobody else is',
  async (test) => {
    const { get } = await serve(test, {
      policy: { ...routesOptions().policy, decide: async () => refused },
      refusalPace: { burst: 2, perSecond: 0.001, delayMs: 200 },
    })
    const statusAndLateness = async (headers: Record<string, string>) => {
      const began = performance.now()
      const { status } = await get('/v2/ocp/4.5/manifests/base', { headers })
      return { status, isLate: performance.now() - began >= 199 }
    }
    for (let index = 0; index < 2; index++) test.match(await statusAndLateness(bearer), { status: 403 })
    test.strictSame(await statusAndLateness(bearer), { status: 403, isLate: true })
    for (let index = 0; index < 4; index++) test.match(await statusAndLateness({}), { status: 401 })
  },
)
