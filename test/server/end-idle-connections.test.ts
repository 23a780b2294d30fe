import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { endIdleConnections } from '../../src/server/end-idle-connections.ts'
import { untilNoConnections } from '../registry/fakes.ts'
import { until } from '../support/until.ts'
import { selfSigned } from '../support/tls.ts'

const content = Buffer.alloc(1_000_000, 'x')

const serve = async (test: Test, server: Server) => {
  const finished = { count: 0 }
  endIdleConnections(server)
  server.on('request', (request, response) => {
    response.once('finish', () => finished.count++)
    if (request.url === '/held') response.write('held')
    else response.end(content)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { finished, port: (server.address() as AddressInfo).port }
}

const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

for (const scheme of ['http', 'https'])
  await t.test(`${scheme}: written bytes arrive, then the end`, async (test) => {
    const pair = selfSigned()
    const server = scheme === 'http' ? createServer() : createTlsServer(pair)
    const { finished, port } = await serve(test, server)
    const client =
      scheme === 'http'
        ? connect(port, '127.0.0.1')
        : connectTls({ port, host: '127.0.0.1', ca: pair.cert, servername: 'localhost' })
    test.teardown(() => client.destroy())
    await once(client, scheme === 'http' ? 'connect' : 'secureConnect')
    client.pause()
    client.write(ask('/'))
    await until(() => finished.count === 1)
    const closed = once(server, 'close')
    server.close()
    // Node's own would have ended it by now: only the client does.
    await new Promise((resolve) => setTimeout(resolve, 50))
    const connections = await new Promise((resolve) =>
      server.getConnections((_error, count) => resolve(count)),
    )
    test.equal(connections, 1)
    let received = 0
    client.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    client.resume()
    await once(client, 'end')
    test.ok(received > content.length, `${received} bytes`)
    await closed
  })

await t.test('a response in progress is finished; its connection ends at the next check', async (test) => {
  const server = createServer()
  const { port } = await serve(test, server)
  const held: { end: () => void }[] = []
  server.on('request', (_request, response) => held.push(response))
  const client = connect(port, '127.0.0.1')
  test.teardown(() => client.destroy())
  client.write(ask('/held'))
  const [first] = (await once(client, 'data')) as [Buffer]
  test.match(String(first), /held/)
  server.closeIdleConnections()
  test.equal(client.readableEnded, false)
  held[0]?.end()
  const ended = once(client.resume(), 'end')
  await until(() => {
    server.closeIdleConnections()
    return client.readableEnded
  })
  await ended
  await untilNoConnections(server)
})

await t.test(
  'a connection without a request is still served, and a closed one is forgotten',
  async (test) => {
    const server = createServer()
    const { finished, port } = await serve(test, server)
    const gone = connect(port, '127.0.0.1')
    gone.write(ask('/held'))
    await once(gone, 'data')
    gone.destroy()
    await untilNoConnections(server)
    const client = connect(port, '127.0.0.1')
    await once(server, 'connection')
    server.closeIdleConnections()
    client.write(ask('/'))
    await once(client, 'data')
    const ended = once(client.resume(), 'end')
    await until(() => finished.count === 1)
    server.closeIdleConnections()
    await ended
    await untilNoConnections(server)
  },
)
