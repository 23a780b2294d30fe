import t from 'tap'
import { WaitingRoom } from '../../src/kubernetes/waiting-room.ts'
import { fakeClock, settled } from '../concurrency/fake-clock.ts'

const setUp = (maxWaiting = 10) => {
  const clock = fakeClock()
  let places = 0
  const entered: string[] = []
  const room = new WaitingRoom<string>({
    maxWaiting,
    maxWaitMs: 1000,
    clock,
    enter: (address) => {
      if (places === 0) return undefined
      places -= 1
      return { value: address }
    },
    refuse: (address) => new Error(`${address} goes`),
  })
  const wait = (name: string, address = name, max = 10) =>
    room.wait(address, max).then(
      () => void entered.push(name),
      () => void entered.push(`no ${name}`),
    )
  const open = (count: number) => {
    places += count
  }
  return { clock, room, wait, open, entered }
}

await t.test('a waiter that may enter does not wait', async (test) => {
  const { wait, open, entered, clock } = setUp()
  open(1)
  await wait('a')
  test.strictSame(entered, ['a'])
  test.equal(clock.pending(), 0)
})

await t.test('addresses take turns, each with its oldest waiter first', async (test) => {
  const { wait, open, room, entered } = setUp()
  for (const name of ['a1', 'a2', 'a3']) void wait(name, 'a')
  void wait('b1', 'b')
  open(2)
  room.pump()
  await settled()
  test.strictSame(entered, ['a1', 'b1'])
  open(5)
  void wait('a4', 'a')
  await settled()
  test.strictSame(entered, ['a1', 'b1'], 'nobody of the same address is overtaken')
  room.pump()
  await settled()
  test.strictSame(entered, ['a1', 'b1', 'a2', 'a3', 'a4'])
})

await t.test(
  'a limit that recovers with time is noticed, and no timer runs without a waiter',
  async (test) => {
    const { wait, open, clock, entered } = setUp()
    void wait('a')
    await clock.pass(350)
    test.strictSame(entered, [])
    open(1)
    await clock.pass(100)
    test.strictSame(entered, ['a'])
    await clock.pass(100)
    test.equal(clock.pending(), 0)
  },
)

await t.test('a waiter that waits too long is rejected', async (test) => {
  const { wait, clock, entered } = setUp()
  void wait('a')
  await clock.pass(1000)
  test.strictSame(entered, ['no a'])
})

await t.test('if an address has too many waiters, its oldest is rejected', async (test) => {
  const { wait, entered, room, open } = setUp()
  for (const name of ['a1', 'a2', 'a3', 'a4']) void wait(name, 'a', 2)
  void wait('b1', 'b', 2)
  await settled()
  test.strictSame(entered, ['no a1', 'no a2'])
  open(10)
  room.pump()
  await settled()
  test.strictSame(entered.slice(2).toSorted(), ['a3', 'a4', 'b1'])
})

await t.test(
  'if there are too many waiters, the oldest of the address with most is rejected',
  async (test) => {
    const { wait, entered } = setUp(4)
    for (const [name, address] of [
      ['b1', 'b'],
      ['a1', 'a'],
      ['a2', 'a'],
      ['a3', 'a'],
      ['c1', 'c'],
    ] as const)
      void wait(name, address)
    await settled()
    test.strictSame(entered, ['no a1'])
  },
)

await t.test('trim leaves only the newest waiters of an address', async (test) => {
  const { wait, room, entered } = setUp()
  for (const name of ['a1', 'a2', 'a3']) void wait(name, 'a')
  room.trim('a', 3)
  room.trim('nobody', 1)
  room.trim('a', 1)
  await settled()
  test.strictSame(entered, ['no a1', 'no a2'])
})
