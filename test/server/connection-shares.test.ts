import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { ConnectionShares } from '../../src/server/connection-shares.ts'

class FakeSocket extends EventEmitter {
  readonly name: string
  _httpMessage: object | null = null
  destroyed = false
  constructor(name: string) {
    super()
    this.name = name
  }
  destroy() {
    this.destroyed = true
    // As with a real one: told later.
    queueMicrotask(() => this.emit('close'))
  }
}

const setUp = (maxConnections: number, isUnfinished: (socket: Socket) => boolean = () => false) => {
  let cut = 0
  const shares = new ConnectionShares({ maxConnections, isUnfinished, observeCut: () => void cut++ })
  const all: FakeSocket[] = []
  const add = (network: string | undefined, isBusy = false) => {
    const socket = new FakeSocket(`${network} ${all.length}`)
    if (isBusy) socket._httpMessage = {}
    all.push(socket)
    shares.add(socket as unknown as Socket, network)
    return socket
  }
  const open = () => all.filter(({ destroyed }) => !destroyed)
  const openOf = (network: string | undefined) =>
    open().filter(({ name }) => name.startsWith(`${network} `)).length
  return { shares, add, open, openOf, cut: () => cut }
}

const times = <Value>(count: number, make: () => Value): Value[] => Array.from({ length: count }, make)

await t.test('one address may have all; a newcomer replaces its newest idle connection', async (test) => {
  const { add, open, openOf, cut } = setUp(10)
  const flood = times(14, () => add('greedy'))
  test.equal(open().length, 10)
  test.same(
    flood.map(({ destroyed }) => destroyed),
    [...times(10, () => false), ...times(4, () => true)],
  )
  const victim = add('alice')
  test.notOk(victim.destroyed)
  test.ok(flood[9]?.destroyed, 'the newest goes')
  test.ok(
    times(8, () => add('greedy')).every(({ destroyed }) => destroyed),
    'and does not come back',
  )
  test.equal(openOf('greedy'), 9)
  test.equal(cut(), 13)
})

await t.test(
  'addresses x sizes: an address with fewer connections gets in, and no address loses one to an equal',
  async (test) => {
    for (const max of [2, 10, 100])
      for (const greedy of [1, 2, 7]) {
        const { add, open, openOf } = setUp(max)
        for (let round = 0; round < max * 2; round++)
          for (let who = 0; who < greedy; who++) add(`greedy ${who}`)
        const each = Math.ceil(max / greedy)
        for (let who = 0; who < greedy; who++) test.ok(openOf(`greedy ${who}`) <= each + 1)
        const before = Math.max(...times(greedy, () => 0).map((_, who) => openOf(`greedy ${who}`)))
        const newcomer = add('newcomer')
        test.equal(newcomer.destroyed, before <= 1, `${greedy} of ${max}`)
        test.equal(open().length, max)
      }
  },
)

await t.test(
  'a connection with a request in progress is left alone; one with an unfinished request is not',
  async (test) => {
    const unfinished = new Set<unknown>()
    const { add } = setUp(4, (socket) => unfinished.has(socket))
    const [busy, form] = [add('greedy', true), add('greedy', true)]
    const late = [add('greedy', true), add('greedy', true)]
    test.ok(add('alice').destroyed, 'all are busy')
    unfinished.add(form)
    test.notOk(add('alice').destroyed)
    test.ok(form.destroyed)
    test.notOk([busy, ...late].some(({ destroyed }) => destroyed))
  },
)

await t.test('if all connections of the largest share are busy, the next share loses one', async (test) => {
  const { add } = setUp(5)
  times(3, () => add('busy', true))
  const [kept, given] = times(2, () => add('idle'))
  test.notOk(add('alice').destroyed)
  test.notOk(kept?.destroyed)
  test.ok(given?.destroyed)
})

await t.test(
  'attack: busy connections before idle ones: a check is limited, and each begins where the last one ended',
  async (test) => {
    const { add, open } = setUp(1001)
    const idle = add('greedy')
    times(1000, () => add('greedy', true))
    let tries = 0
    while (!idle.destroyed) {
      add('alice')
      tries += 1
    }
    test.equal(tries, 8, '128 at a time')
    test.equal(open().length, 1001)
  },
)

await t.test('a closed connection makes room; a cut one is counted once', async (test) => {
  const { add, open, cut } = setUp(2)
  const [first, second] = [add('a'), add('b')]
  first.destroy()
  await new Promise(setImmediate)
  test.notOk(add('b').destroyed)
  test.equal(cut(), 0)
  second.emit('close')
  second.emit('close')
  second.destroyed = true
  test.notOk(add('c').destroyed)
  test.equal(open().length, 2)
})

await t.test('a proxy that speaks for many clients has no share, and its connections count', async (test) => {
  const { add, openOf } = setUp(4)
  times(2, () => add(undefined))
  times(2, () => add('greedy'))
  test.notOk(add(undefined).destroyed, 'the newcomer is somebody else')
  test.equal(openOf('greedy'), 1)
  test.ok(add(undefined).destroyed, 'nobody has more than one')
  test.ok(add('greedy').destroyed)
  test.equal(openOf('undefined'), 3)
})

await t.test('a PROXY protocol header moves a connection to the share of its client', async (test) => {
  const { shares, add } = setUp(3)
  const sockets = times(3, () => add(undefined))
  for (const socket of sockets) shares.move(socket as unknown as Socket, '203.0.113.9')
  shares.move(new FakeSocket('gone') as unknown as Socket, '203.0.113.9')
  test.notOk(add('alice').destroyed)
  test.strictSame(
    sockets.map(({ destroyed }) => destroyed),
    [false, false, true],
  )
  shares.move(sockets[0] as unknown as Socket, undefined)
})

await t.test('with TLS the request is on the TLS socket', async (test) => {
  const { shares, add } = setUp(2)
  const [busy, idle] = times(2, () => add('greedy'))
  const secured = new FakeSocket('above')
  secured._httpMessage = {}
  shares.secured(idle as unknown as Socket, secured as unknown as Socket)
  shares.secured(new FakeSocket('gone') as unknown as Socket, secured as unknown as Socket)
  test.notOk(add('alice').destroyed)
  test.ok(busy?.destroyed)
  test.notOk(idle?.destroyed)
})
