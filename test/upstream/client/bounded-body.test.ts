import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import { undiciBody } from '../../../src/upstream/client/body.ts'
import { readBounded } from '../../../src/upstream/client/bounded-body.ts'
import { always, failure, serverFor, told } from '../upstream.ts'
import type { Body } from '../../../src/oci/image-source.ts'

/** A single connection: a second request shows whether the first let go of it. */
const clientFor = (test: Test, url: string): (() => Promise<Body>) => {
  const dispatcher = new Agent({ connections: 1, bodyTimeout: 50 })
  test.teardown(() => dispatcher.destroy())
  return async () => undiciBody((await request(url, { dispatcher })).body, new AbortController().signal)
}

await t.test('a body of exactly the bound is read', async (test) => {
  const { url } = await serverFor(test, always(200, {}, 'x'.repeat(1000)))
  const get = clientFor(test, url)
  test.equal((await readBounded(await get(), 1000)).toString(), 'x'.repeat(1000))
  test.equal((await readBounded(await get(), 1001)).length, 1000)
})

await t.test('an empty body is read', async (test) => {
  const { url } = await serverFor(test, always(204))
  test.equal((await readBounded(await clientFor(test, url)(), 0)).length, 0)
})

await t.test(
  'attack: an endless body is given up at the bound, and its connection is closed',
  async (test) => {
    let closed: Promise<unknown> | undefined
    const { url } = await serverFor(test, (_request, response) => {
      closed = once(response, 'close')
      const write = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1000)));
      }
      response.on('drain', write)
      write()
    })
    const body = await clientFor(test, url)()
    const error = await failure(readBounded(body, 5000))
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.message, /more than the proxy reads/)
    await closed
  },
)

await t.test('a body that breaks off is an error', async (test) => {
  const { url } = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('x', () => response.destroy())
  })
  const body = await clientFor(test, url)()
  const error = await failure(readBounded(body, 5000))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.cause, { code: 'UND_ERR_SOCKET' })
})

await t.test('a body that stalls is an error', async (test) => {
  const { url } = await serverFor(test, (_request, response) => void response.write('x'))
  const body = await clientFor(test, url)()
  test.equal(told(await failure(readBounded(body, 5000))), '504 UNAVAILABLE 5')
})
