import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { SingleWriteResponse } from '../../src/server/single-write.ts'

type End = (response: ServerResponse) => void

/** The response that `end` makes, and the number of writes to its socket. */
const responseOf = async (end: End, method = 'GET') => {
  let writes = 0
  await using server = createServer({ ServerResponse: SingleWriteResponse }, ({ socket }, response) => {
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    socket.write = (...args: unknown[]) => {
      writes++
      return write(...args)
    }
    end(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const sent = request({ port, host: '127.0.0.1', method, agent: false }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const body = Buffer.concat(await response.toArray())
  return { body, writes, length: response.headers['content-length'] }
}

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

await t.test('a small body arrives unchanged, in one write with its head', async (test) => {
  test.strictSame(await responseOf((response) => response.end(everyByte)), {
    body: everyByte,
    writes: 1,
    length: '256',
  })
})

await t.test('a large body is not copied: its head is a write of its own', async (test) => {
  const large = Buffer.alloc(16 * 1024 + 1, everyByte)
  const { body, writes } = await responseOf((response) => response.end(large))
  test.ok(body.equals(large))
  test.equal(writes, 2)
})

await t.test('texts and responses without a body are those of Node.js', async (test) => {
  const text = await responseOf((response) => response.end('é', 'utf8'))
  test.equal(text.body.toString(), 'é')
  const none = await responseOf((response) => response.end())
  test.equal(none.body.length, 0)
})

await t.test('the response to HEAD has the length of the body, and no body', async (test) => {
  const { body, length } = await responseOf((response) => {
    response.setHeader('content-length', 256)
    response.end(everyByte)
  }, 'HEAD')
  test.strictSame([body.length, length], [0, '256'])
})

await t.test('the callback is called', async (test) => {
  for (const end of [
    (response: ServerResponse, done: () => void) => response.end(everyByte, done),
    (response: ServerResponse, done: () => void) => response.end('text', 'utf8', done),
  ]) {
    const { promise, resolve } = Promise.withResolvers<void>()
    await responseOf((response) => end(response, resolve))
    await promise
    test.pass('it was called')
  }
})
