import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { TurnQueue } from '../../src/concurrency/turn-queue.ts'
import { spreadBursts, maxPerTurn } from '../../src/server/request-turns.ts'
import { bareApp, listen } from '../registry/fakes.ts'
import { until } from '../support/until.ts'

await t.test('attack: a burst of requests is spread over turns, and all of it is served', async (test) => {
  const app = bareApp(test)
  app.addHook('onRequest', spreadBursts(new TurnQueue(maxPerTurn)))
  let turn = 0
  const perTurn = new Map<number, number>()
  app.get('/', async () => {
    perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1)
    return 'ok'
  })
  const port = await listen(test, app)
  const sockets = Array.from({ length: 300 }, () => connect(port, '127.0.0.1'))
  await Promise.all(sockets.map(async (socket) => await once(socket, 'connect')))
  let answered = 0
  for (const socket of sockets) socket.on('data', () => answered++)
  const count = (): void => {
    turn += 1
    if (answered < 300) setImmediate(count)
  }
  setImmediate(count)
  for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => answered >= 300)
  for (const socket of sockets) socket.destroy()
  test.ok(Math.max(...perTurn.values()) <= 2 * maxPerTurn, [...perTurn.values()].join())
})
