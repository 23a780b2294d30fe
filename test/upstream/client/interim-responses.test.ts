import { createServer } from 'node:https'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { createInterimClient } from '../../../src/upstream/client/interim-responses.ts'
import type { RoundTripRequest } from '../../../src/upstream/client/round-trip.ts'
import { selfSigned } from '../../support/tls.ts'
import { bytesOf, failure, lookupOf, serverFor, told } from '../upstream.ts'

const clientFor = (test: Test, ca?: string, silentMs = 10_000) => {
  const client = createInterimClient({
    ...(ca === undefined ? {} : { ca }),
    maxConnections: 2,
    timeouts: { connect: silentMs, head: silentMs, body: silentMs },
    lookupOf: () => lookupOf({ 'upstream.test': ['127.0.0.1'], localhost: ['127.0.0.1'] }),
  })
  test.teardown(client.close)
  const get = async (url: string, more: Partial<RoundTripRequest> = {}) =>
    await client.send(new URL(url), {
      method: 'GET',
      headers: { accept: 'a/b' },
      kind: 'blob',
      signal: new AbortController().signal,
      ...more,
    })
  return { get }
}

const saysContinue: RequestListener = (_request, response) => {
  response.writeContinue()
  response.writeHead(200, { 'content-length': '4', etag: '"a"' }).end('blob')
}

await t.test('an unrequested 100 over plain HTTP is skipped', async (test) => {
  const { url, requests } = await serverFor(test, saysContinue)
  const { get } = clientFor(test)
  for (const base of [url, url.replace('127.0.0.1', 'upstream.test')]) {
    const { statusCode, headers, body } = await get(`${base}/a?b=c`)
    test.strictSame([statusCode, headers['etag']], [200, '"a"'])
    test.equal(String(await bytesOf(body)), 'blob')
  }
  const head = await get(`${url}/a`, { method: 'HEAD' })
  await head.body.discard()
  test.strictSame(
    requests.map(({ method, url: path, headers }) => [method, path, headers.accept]),
    [
      ['GET', '/a?b=c', 'a/b'],
      ['GET', '/a?b=c', 'a/b'],
      ['HEAD', '/a', 'a/b'],
    ],
  )
})

await t.test('an unrequested 100 over verified TLS is skipped', async (test) => {
  const { cert, key } = selfSigned()
  const server = createServer({ cert, key }, saysContinue).listen(0, '127.0.0.1')
  test.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const { body } = await clientFor(test, String(cert)).get(`https://localhost:${port}/`)
  test.equal(String(await bytesOf(body)), 'blob')
  await test.rejects(clientFor(test).get(`https://localhost:${port}/`), /certificate/)
})

await t.test('silence before the head, or within a body, is a timeout', async (test) => {
  const { url } = await serverFor(test, ({ url: path }, response) => {
    response.writeContinue()
    if (path === '/body') response.writeHead(200, { 'content-length': '4' }).write('bl')
  })
  const { get } = clientFor(test, undefined, 100)
  await test.rejects(get(`${url}/head`), { name: 'TimeoutError' })
  const { body } = await get(`${url}/body`)
  test.match(told(await failure(bytesOf(body))), /^504 /)
})

await t.test('a slow client causes no timeout', async (test) => {
  const { url } = await serverFor(
    test,
    (_request, response) => void response.end('x'.repeat(4 * 1024 * 1024)),
  )
  const { body } = await clientFor(test, undefined, 800).get(url)
  let received = 0
  await body.pipeTo((chunk, written) => {
    // Longer than upstream may be silent, once everything between is full.
    setTimeout(written, received === 0 ? 1000 : 0)
    received += chunk.length
  })
  test.equal(received, 4 * 1024 * 1024)
})

await t.test('a body that breaks off, or whose client leaves, is an error', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '4' }).write('bl', () => response.destroy())
  })
  const { get } = clientFor(test)
  const { body } = await get(url)
  test.match(told(await failure(bytesOf(body))), /^503 /)
  const controller = new AbortController()
  controller.abort()
  await test.rejects(get(url, { signal: controller.signal }), { name: 'AbortError' })
})
