import t from 'tap'
import type { Connection, ConnectionEvents } from '../../../src/upstream/http1/connection.ts'
import { createConnectionPool } from '../../../src/upstream/http1/connection-pool.ts'
import { TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { failure, told } from '../upstream.ts'

interface Fake extends Connection {
  readonly events: ConnectionEvents
}

function poolOf(maxConnections: number, maxWaiting = 2) {
  const opened: Fake[] = []
  const closed: Fake[] = []
  const pool = createConnectionPool({
    maxConnections,
    maxWaiting,
    open: (events) => {
      const fake: Fake = {
        events,
        send: () => Promise.reject(new Error('not asked')),
        close: () => void closed.push(fake),
      }
      opened.push(fake)
      return fake
    },
  })
  const lease = async (signal?: AbortSignal, isFresh?: boolean) => (await pool.lease(signal, isFresh)) as Fake
  return { lease, isEmpty: () => pool.isEmpty(), close: () => pool.close(), opened, closed }
}

await t.test('the connection that was used last is used again first', async (test) => {
  const { lease, opened } = poolOf(3)
  const [first, second] = [await lease(), await lease()]
  first.events.onIdle()
  second.events.onIdle()
  test.equal(await lease(), second)
  test.equal(await lease(), first)
  test.equal(opened.length, 2)
})

await t.test('waiting requests are served in order, by whatever connection becomes free', async (test) => {
  const { lease, opened } = poolOf(1)
  const first = await lease()
  const waiting = [lease(new AbortController().signal), lease()]
  test.equal(told(await failure(lease())), '503 UNAVAILABLE 1')
  first.events.onIdle()
  test.equal(await waiting[0], first)
  first.events.onClosed()
  test.equal(await waiting[1], opened[1])
  test.equal(opened.length, 2)
})

await t.test('a caller that leaves does not wait any more', async (test) => {
  const { lease } = poolOf(1, 1)
  const first = await lease()
  const abort = new AbortController()
  const gone = lease(abort.signal)
  abort.abort(new Error('gone'))
  await test.rejects(gone, { message: 'gone' })
  await test.rejects(lease(abort.signal), { message: 'gone' })
  const next = lease()
  first.events.onIdle()
  test.equal(await next, first)
})

await t.test(
  'a wait that takes too long is reported as too many pulls, and not as a slow upstream',
  async (test) => {
    const { lease } = poolOf(1, 1)
    await lease()
    const abort = new AbortController()
    const late = failure(lease(abort.signal))
    abort.abort(new DOMException('not through', 'TimeoutError'))
    const error = await late
    test.equal(told(error), '503 UNAVAILABLE 1')
    test.notOk(error instanceof TransientUpstreamError)
  },
)

await t.test(
  'a fresh connection is opened in addition to the idle ones, or in place of the oldest',
  async (test) => {
    const { lease, closed, opened } = poolOf(2)
    const [first, second] = [await lease(), await lease()]
    first.events.onIdle()
    second.events.onIdle()
    test.equal(await lease(undefined, true), opened[2])
    test.same(closed.length, 1)
    test.equal(closed[0], first)
    first.events.onClosed()
    second.events.onClosed()
    test.equal(await lease(), opened[3])
    test.equal(opened.length, 4)
  },
)

await t.test('closing ends all connections and rejects waiting requests', async (test) => {
  const { lease, close, closed, isEmpty } = poolOf(1)
  test.ok(isEmpty())
  const { events } = await lease()
  test.notOk(isEmpty())
  const waiting = failure(lease())
  close()
  test.equal(told(await waiting), '503 UNAVAILABLE 5')
  test.equal(told(await failure(lease())), '503 UNAVAILABLE 5')
  test.equal(closed.length, 1)
  events.onClosed()
  test.ok(isEmpty())
})
