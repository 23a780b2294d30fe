import t from 'tap'
import { OriginSocket } from '../../../src/upstream/http1/socket.ts'
import { selfSigned } from '../../support/tls.ts'
import { createSecureContext } from 'node:tls'
import { until } from '../upstream.ts'
import { originOf, scripted } from './scripted.ts'

await t.test('a socket is read for one reader, then for nobody', async (test) => {
  for (const tls of [undefined, selfSigned()]) {
    const server = await scripted(test, (socket) => void socket.write('answer'), tls)
    const secureContext = createSecureContext(tls === undefined ? {} : { ca: String(tls.cert) })
    let closed = 0
    const socket = new OriginSocket(originOf(server.url, { secureContext }), () => closed++)
    const told: string[] = []
    socket.readFor({
      room: () => socket.memory,
      received: (bytes) => {
        told.push(socket.memory.toString('latin1', 0, bytes))
        return true
      },
      stalled: () => void told.push('stalled'),
      lost: () => void told.push('lost'),
    })
    socket.whenOpen(() => void told.push('open'))
    await until(() => told.includes('open'))
    socket.whenOpen(() => void told.push('still open'))
    socket.write('\r\n\r\n')
    await until(() => told.includes('answer'))
    socket.pause()
    socket.resume(20)
    await until(() => told.includes('stalled'))
    test.same(told, ['open', 'still open', 'answer', 'stalled'])
    socket.readFor(undefined)
    test.notOk(socket.isClosed())
    server.sockets[0]?.write('nobody asked')
    await until(() => closed > 0)
    test.ok(socket.isClosed())
    test.same([told.length, closed], [4, 1])
  }
})
