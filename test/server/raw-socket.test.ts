import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { connect as connectTls, Server as TlsServer } from 'node:tls'
import t from 'tap'
import { hasRequest, rawSocketOf } from '../../src/server/raw-socket.ts'
import { until } from '../support/until.ts'
import { selfSigned } from '../support/tls.ts'

const portOf = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

await t.test('plain and TLS: the TCP connection, and whether a request is in progress', async (test) => {
  const pair = selfSigned()
  for (const server of [createServer(), createTlsServer(pair)]) {
    const isTls = server instanceof TlsServer
    const raws: Socket[] = []
    const above: Socket[] = []
    let answer = () => {}
    server.on('connection', (socket: Socket) => raws.push(socket))
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => above.push(socket))
    server.on('request', (_request, response) => {
      answer = () => response.end()
    })
    const port = await portOf(server)
    const client = isTls
      ? connectTls({ port, host: '127.0.0.1', ca: pair.cert, servername: 'localhost' })
      : connect(port, '127.0.0.1')
    test.teardown(() => client.destroy())
    client.resume()
    await until(() => above.length === 1)
    const [socket] = above as [Socket]
    test.equal(rawSocketOf(socket), raws[0])
    test.equal(socket === raws[0], !isTls)
    test.notOk(hasRequest(socket))
    client.write('GET / HTTP/1.1\r\nHost: x\r\n')
    await until(() => socket.bytesRead > 0)
    test.notOk(hasRequest(socket), 'half a head is none')
    client.write('\r\n')
    await until(() => hasRequest(socket))
    answer()
    await until(() => !hasRequest(socket))
    server.close()
    server.closeAllConnections()
  }
})
