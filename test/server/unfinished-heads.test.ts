import { EventEmitter } from 'node:events'
import type { Server, Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { fairShare, UnfinishedHeads } from '../../src/server/unfinished-heads.ts'
import { until } from '../support/until.ts'

class FakeSocket extends EventEmitter {
  readonly holder: string
  bytesRead = 0
  _httpMessage: object | null = null
  destroyed = false
  constructor(holder: string) {
    super()
    this.holder = holder
  }
  destroy() {
    this.destroyed = true
    this.emit('close')
  }
}
const socketOf = (socket: FakeSocket) => socket as unknown as Socket

const setUp = (test: Test, maxHeadBytes: number) => {
  const server = new EventEmitter()
  test.teardown(() => server.emit('close'))
  const looked: unknown[] = []
  const cut: FakeSocket[] = []
  const heads = new UnfinishedHeads(server as unknown as Server, {
    maxHeadBytes,
    headSweepMs: 1,
    holderOf: (socket) => {
      looked.push(socket)
      return (socket as unknown as FakeSocket).holder
    },
    onConnectionCut: (socket) => cut.push(socket as unknown as FakeSocket),
  })
  const add = (holder: string, bytes: number) => {
    const socket = new FakeSocket(holder)
    heads.add(socketOf(socket))
    socket.bytesRead += bytes
    return socket
  }
  const sweep = async () => {
    const before = looked.length
    await until(() => looked.length >= before + 2)
  }
  return { heads, add, cut, sweep }
}

await t.test('within the limit no connection is cut', async (test) => {
  const { add, cut, sweep } = setUp(test, 1000)
  add('a', 600)
  add('b', 400)
  await sweep()
  test.same(cut, [])
})

await t.test('over the limit: the largest shares are cut until all fit', async (test) => {
  const { add, cut, sweep } = setUp(test, 1000)
  const [large, small, smaller] = [add('greedy', 900), add('greedy', 300), add('greedy', 200)]
  const alice = add('alice', 400)
  await sweep()
  test.same(cut, [large])
  test.notOk([small, smaller, alice].some(({ destroyed }) => destroyed))
})

await t.test('complete heads, and requests in progress, do not count', async (test) => {
  const { heads, add, cut, sweep } = setUp(test, 1000)
  const [whole, busy] = [add('a', 5000), add('b', 5000)]
  heads.arrived(socketOf(whole))
  busy._httpMessage = {}
  whole.bytesRead += 500
  await sweep()
  test.same(cut, [])
  whole.bytesRead += 501
  await until(() => cut.length > 0)
  test.same(cut, [whole])
})

await t.test('a closed connection is forgotten', async (test) => {
  const { heads, add, cut, sweep } = setUp(test, 1000)
  const gone = add('a', 5000)
  gone.destroy()
  heads.arrived(socketOf(gone))
  gone.bytesRead += 5000
  add('b', 10)
  await sweep()
  test.same(cut, [])
})

await t.test('needs x limits: together within the limit, and small needs are met in full', async (test) => {
  const rows: readonly [needs: readonly number[], bound: number, share: number][] = [
    [[], 100, Infinity],
    [[50, 50], 100, Infinity],
    [[100, 100], 100, 50],
    [[10, 200], 100, 90],
    [[200, 10, 20], 100, 70],
    [[60, 60, 60, 0], 90, 30],
  ]
  for (const [needs, bound, share] of rows) test.equal(fairShare(needs, bound), share)
  for (let count = 1; count < 40; count++) {
    const needs = Array.from({ length: count }, (_, index) => (index * 7919) % 101)
    const share = fairShare(needs, 500)
    const given = needs.reduce((sum, need) => sum + Math.min(need, share), 0)
    test.ok(given <= 500 + 1e-9)
    if (share !== Infinity) test.ok(given > 499 && share >= 500 / count)
  }
})
