import t from 'tap'
import { createOriginSocket } from '../../../src/upstream/http1/socket.ts'
import { selfSigned } from '../../support/tls.ts'
import { createSecureContext } from 'node:tls'
import { until } from '../upstream.ts'
import { originOf, scripted } from './scripted.ts'

await t.test('read for one, then for nobody', async (test) => {
  for (const tls of [undefined, selfSigned()]) {
    const server = await scripted(test, (socket) => void socket.write('answer'), tls)
    const secureContext = createSecureContext(tls === undefined ? {} : { ca: String(tls.cert) })
    let closed = 0
    const line = createOriginSocket(originOf(server.url, { secureContext }), () => closed++)
    const told: string[] = []
    line.readFor({
      room: () => line.memory,
      received: (bytes) => {
        told.push(line.memory.toString('latin1', 0, bytes))
        return true
      },
      stalled: () => void told.push('stalled'),
      lost: () => void told.push('lost'),
    })
    line.whenOpen(() => void told.push('open'))
    await until(() => told.includes('open'))
    line.whenOpen(() => void told.push('still open'))
    line.write('\r\n\r\n')
    await until(() => told.includes('answer'))
    line.pause()
    line.resume(20)
    await until(() => told.includes('stalled'))
    test.same(told, ['open', 'still open', 'answer', 'stalled'])
    line.readFor(undefined)
    test.notOk(line.isClosed())
    server.sockets[0]?.write('nobody asked')
    await until(() => closed > 0)
    test.ok(line.isClosed())
    test.same([told.length, closed], [4, 1])
  }
})
