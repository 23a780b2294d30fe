import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { Agent, request } from 'undici'
import { bearer, digest, raw } from '../registry/fakes.ts'
import { codeOf, cut, serve } from './server-options.ts'
import { selfSigned } from '../support/tls.ts'

await t.test('CONNECT is a 405, and the connection ends', async (test) => {
  const { port } = await serve(test)
  const { head, body } = cut(await raw(port, 'CONNECT elsewhere:443 HTTP/1.1\r\n\r\n'))
  test.match(head, 'http/1.1 405')
  test.match(head, 'allow: get, head')
  test.match(head, `content-length: ${body.length}`)
  test.equal(codeOf(body), 'UNSUPPORTED')
})

await t.test('CONNECT with a reset ends nothing else', async (test) => {
  const { port, get } = await serve(test)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('CONNECT elsewhere:443 HTTP/1.1\r\n\r\n', () => socket.resetAndDestroy())
  await once(socket, 'close')
  test.equal((await get('/healthz')).status, 200)
})

await t.test('trap 26: bytes that are no HTTP get an error in OCI JSON', async (test) => {
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

await t.test('a reset in the middle of a head ends the connection', async (test) => {
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

await t.test('bad escapes, and a component over the length limit: NAME_INVALID with an id', async (test) => {
  const { get, lines } = await serve(test)
  for (const path of ['/v2/a/%zz/manifests/b', `/v2/a/b/manifests/${'c'.repeat(600)}`]) {
    const { status, headers, body } = await get(path, { headers: bearer })
    test.equal(status, 400)
    test.equal(codeOf(body), 'NAME_INVALID')
    test.equal(headers.get('content-type'), 'application/json')
    test.match(lines.at(-1), { requestId: headers.get('x-request-id'), status: 400 })
  }
})

await t.test('trap 25: a percent-encoded sha512 digest of 135 characters is a digest', async (test) => {
  const { get } = await serve(test)
  const sha512 = encodeURIComponent(`sha512:${'a'.repeat(128)}`)
  const { status, body } = await get(`/v2/a/b/manifests/${sha512}`, { headers: bearer })
  test.strictSame([status, codeOf(body)], [404, 'MANIFEST_UNKNOWN'])
})

await t.test('with a key pair the server speaks https', async (test) => {
  const { cert, key } = selfSigned()
  const { port } = await serve(test, { tls: { cert: String(cert), key: String(key) } })
  const dispatcher = new Agent({ connect: { ca: String(cert) } })
  test.teardown(() => dispatcher.destroy())
  const { statusCode, body } = await request(`https://localhost:${port}/healthz`, { dispatcher })
  test.equal(statusCode, 200)
  await body.dump()
})

await t.test('an unknown expectation, and a request that never arrives', async (test) => {
  const { app, port } = await serve(test)
  test.equal(app.server.requestTimeout, 30_000)
  const answer = await raw(port, 'GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: foo\r\n\r\n')
  test.match(answer, /^HTTP\/1\.1 417 [^]*x-request-id: [^]*"code":"UNSUPPORTED"/)
})

await t.test('the kernel notices a half-open client', async (test) => {
  const { app } = await serve(test)
  test.match(app.server, { keepAlive: true, keepAliveInitialDelay: 60, headersTimeout: 10_000 })
})
