import { once } from 'node:events'
import { createSecureContext } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { isTls, openSocket } from '../../../src/upstream/http1/origin.ts'
import { selfSigned } from '../../support/tls.ts'
import { until } from '../upstream.ts'
import { originOf, scripted } from './scripted.ts'

const onread = { buffer: Buffer.alloc(100), callback: () => true }

await t.test('a plain socket connects', async (test) => {
  const { url } = await scripted(test, () => undefined)
  test.notOk(isTls(originOf(url)))
  const socket = openSocket(originOf(url), onread)
  await once(socket, 'connect')
  socket.destroy()
})

await t.test('the usual ports are the default', async (test) => {
  for (const [scheme, port] of [
    ['http', 80],
    ['https', 443],
  ]) {
    const socket = openSocket(originOf(new URL(`${scheme}://[::1]/`)), onread)
    const [error] = (await once(socket, 'error')) as [{ port?: number }]
    test.equal(error.port, port)
  }
})

await t.test('TLS offers HTTP/1.1 alone, and the session is used again', async (test) => {
  const tls = selfSigned()
  const server = await scripted(test, () => undefined, { ...tls, ALPNProtocols: ['h2', 'http/1.1'] })
  const origin = originOf(server.url, { secureContext: createSecureContext({ ca: String(tls.cert) }) })
  test.ok(isTls(origin))
  for (const isReused of [false, true]) {
    const socket = openSocket(origin, onread) as TLSSocket
    await once(socket, 'secureConnect')
    test.same([socket.alpnProtocol, socket.isSessionReused()], ['http/1.1', isReused])
    await until(() => origin.session !== undefined)
    socket.destroy()
  }
})
