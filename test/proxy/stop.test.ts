import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { stopServing } from '../../src/proxy/stop.ts'
import { endIdleConnections } from '../../src/server/end-idle-connections.ts'
import { createLogger } from '../../src/telemetry/logging.ts'

/** A server with one request in progress. @param onClosing called when the server refuses new connections */
const setUp = async (test: Test, onClosing: (finish: () => void) => void = () => undefined) => {
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(line) })
  const app = fastify()
  const held = Promise.withResolvers<string>()
  app.get('/', async () => await held.promise)
  const finish = () => held.resolve('the answer')
  app.addHook('preClose', async () => onClosing(finish))
  endIdleConnections(app.server)
  test.teardown(async () => {
    finish()
    await app.close()
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  test.teardown(() => client.destroy())
  const requested = once(app.server, 'request')
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await requested
  return { app, client, logger, lines }
}

await t.test('a request in progress gets its answer, and then its connection ends', async (test) => {
  const { app, client, logger, lines } = await setUp(test, (finish) => finish())
  const received = client.toArray() as Promise<Buffer[]>
  await stopServing(app, { gracePeriodMs: 1000 }, logger)
  test.match(String(Buffer.concat(await received)), /the answer$/)
  test.strictSame(
    lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
    ['stopping'],
  )
})

await t.test('after the grace period a request is cut, and gets no answer', async (test) => {
  const { app, client, logger, lines } = await setUp(test)
  const received: Buffer[] = []
  client.on('data', (chunk: Buffer) => received.push(chunk)).on('error', () => undefined)
  await Promise.all([stopServing(app, { gracePeriodMs: 4 }, logger), once(client, 'close')])
  test.strictSame(received, [])
  test.match(lines.join(''), 'grace period exceeded; closing remaining connections')
})
