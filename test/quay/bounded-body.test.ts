import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import type { Dispatcher } from 'undici'
import { discard, readBounded } from '../../src/quay/bounded-body.ts'
import { always, failure, serverFor, told } from './upstream.ts'

/** A single connection: a second request shows whether the first let go of it. */
const clientFor = (test: Test, url: string): (() => Promise<Dispatcher.ResponseData>) => {
  const dispatcher = new Agent({ connections: 1, bodyTimeout: 50 })
  test.teardown(() => dispatcher.destroy())
  return () => request(url, { dispatcher })
}

await t.test('a body of exactly the bound is read', async (test) => {
  const { url } = await serverFor(test, always(200, {}, 'x'.repeat(1000)))
  const get = clientFor(test, url)
  test.equal((await readBounded((await get()).body, 1000)).toString(), 'x'.repeat(1000))
  test.equal((await readBounded((await get()).body, 1001)).length, 1000)
})

await t.test('no body', async (test) => {
  const { url } = await serverFor(test, always(204))
  test.equal((await readBounded((await clientFor(test, url)()).body, 0)).length, 0)
})

await t.test('attack: a body without end is given up at the bound, and its connection', async (test) => {
  let closed: Promise<unknown> | undefined
  const { url } = await serverFor(test, (_request, response) => {
    closed = once(response, 'close')
    const write = (): void => {
      while (!response.destroyed && response.write('x'.repeat(1000)));
    }
    response.on('drain', write)
    write()
  })
  const { body } = await clientFor(test, url)()
  const error = await failure(readBounded(body, 5000))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.message, /more than the proxy reads/)
  await closed
})

await t.test('a body that breaks off', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('x', () => response.destroy())
  })
  const { body } = await clientFor(test, url)()
  const error = await failure(readBounded(body, 5000))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.cause, { code: 'UND_ERR_SOCKET' })
})

await t.test('a body that stalls', async (test) => {
  const { url } = await serverFor(test, (_request, response) => void response.write('x'))
  const { body } = await clientFor(test, url)()
  test.equal(told(await failure(readBounded(body, 5000))), '504 UNAVAILABLE 5')
})

await t.test('what is discarded leaves the connection to the next', async (test) => {
  const sockets = new Set<unknown>()
  const { url, requests } = await serverFor(test, (received, response) => {
    sockets.add(received.socket)
    response.end('x'.repeat(10_000))
  })
  const get = clientFor(test, url)
  for (let index = 0; index < 3; index++) await discard(await get())
  test.equal(requests.length, 3)
  test.equal(sockets.size, 1)
})

await t.test('what is too large to be discarded is cut off', async (test) => {
  const sockets = new Set<unknown>()
  const { url } = await serverFor(test, (received, response) => {
    sockets.add(received.socket)
    response.end('x'.repeat(1024 * 1024))
  })
  const get = clientFor(test, url)
  await discard(await get())
  await discard(await get())
  test.equal(sockets.size, 2)
})

await t.test('what breaks off while it is discarded is nobody’s trouble', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('x', () => response.destroy())
  })
  const get = clientFor(test, url)
  await discard(await get())
  const read = await get()
  await failure(readBounded(read.body, 5000))
  await discard(read)
  test.pass('also where it broke before')
})
