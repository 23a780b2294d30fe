import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import { undiciBody } from '../../../src/upstream/client/body.ts'
import { bytesOf, failure, serverFor, told } from '../upstream.ts'
import type { Body } from '../../../src/oci/image-source.ts'

/** A single connection: a second request shows whether the first let go of it. */
const clientFor = (test: Test, url: string): (() => Promise<Body>) => {
  const dispatcher = new Agent({ connections: 1, bodyTimeout: 50 })
  test.teardown(() => dispatcher.destroy())
  return async () => undiciBody((await request(url, { dispatcher })).body, new AbortController().signal)
}

await t.test('an unreleased chunk pauses upstream', async (test) => {
  const { url } = await serverFor(test, (_request, response) => void response.end('x'.repeat(1024 * 1024)))
  const body = await clientFor(test, url)()
  let out = 0
  let most = 0
  let received = 0
  await body.pipeTo((chunk, written) => {
    received += chunk.length
    most = Math.max(most, ++out)
    setImmediate(() => {
      out--
      written()
    })
  })
  test.strictSame([received, most], [1024 * 1024, 1])
})

await t.test('a break while a chunk is never released ends the body', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('x')
  })
  const dispatcher = new Agent()
  test.teardown(() => dispatcher.destroy())
  const client = new AbortController()
  const { signal } = client
  const body = undiciBody((await request(url, { dispatcher, signal })).body, signal)
  const error = await failure(body.pipeTo(() => client.abort()))
  test.equal(told(error), '503 UNAVAILABLE 5')
})

await t.test(
  'a client that leaves after all was read, with an unreleased chunk, ends the body',
  async (test) => {
    const { url } = await serverFor(test, (_request, response) => void response.end('xyz'))
    const dispatcher = new Agent()
    test.teardown(() => dispatcher.destroy())
    const client = new AbortController()
    const { signal } = client
    const { body } = await request(url, { dispatcher, signal })
    const read = undiciBody(body, signal)
    body.once('close', () => client.abort())
    test.equal(told(await failure(read.pipeTo(() => undefined))), '503 UNAVAILABLE 5')
  },
)

await t.test('an error of the sink ends the body and the connection', async (test) => {
  let closed: Promise<unknown> | undefined
  const { url } = await serverFor(test, (_request, response) => {
    closed = once(response, 'close')
    response.write('x')
  })
  const body = await clientFor(test, url)()
  const error = await failure(
    body.pipeTo(() => {
      throw new Error('enough')
    }),
  )
  test.match(error.cause, new Error('enough'))
  await closed
})

await t.test('a break of an unread body does not end the process', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('x', () => response.destroy())
  })
  const body = await clientFor(test, url)()
  await new Promise((resolve) => setTimeout(resolve, 20))
  test.equal(told(await failure(bytesOf(body))), '503 UNAVAILABLE 5')
})

await t.test('a discarded body frees its connection for the next request', async (test) => {
  const sockets = new Set<unknown>()
  const { url, requests } = await serverFor(test, (received, response) => {
    sockets.add(received.socket)
    response.end('x'.repeat(10_000))
  })
  const get = clientFor(test, url)
  for (let index = 0; index < 3; index++) await (await get()).discard()
  test.equal(requests.length, 3)
  test.equal(sockets.size, 1)
})

await t.test('a body that is too large to be discarded is cut off', async (test) => {
  const sockets = new Set<unknown>()
  const { url } = await serverFor(test, (received, response) => {
    sockets.add(received.socket)
    response.end('x'.repeat(1024 * 1024))
  })
  const get = clientFor(test, url)
  await (await get()).discard()
  await (await get()).discard()
  test.equal(sockets.size, 2)
})

await t.test('a body that is silent while it is discarded is given up', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('x')
  })
  const body = await clientFor(test, url)()
  const patience = new AbortController()
  test.capture(AbortSignal, 'timeout', () => patience.signal)
  const discarded = body.discard()
  patience.abort(new Error('enough'))
  await test.resolves(discarded)
})

await t.test('a break while a body is discarded is no error', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('x', () => response.destroy())
  })
  const get = clientFor(test, url)
  await (await get()).discard()
  const read = await get()
  await failure(bytesOf(read))
  await test.resolves(read.discard(), 'also where it broke before')
})
