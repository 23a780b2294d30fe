import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { TurnQueue } from '../../src/concurrency/turn-queue.ts'

await t.test('jobs within the limit begin at once', async (test) => {
  const queue = new TurnQueue(4)
  const begun: number[] = []
  for (let job = 0; job < 4; job++) queue.run('alice', () => begun.push(job))
  test.strictSame(begun, [0, 1, 2, 3])
})

await t.test(
  'attack: the jobs of one requester do not delay those of another by more than a turn',
  async (test) => {
    const queue = new TurnQueue(4)
    const begun: string[] = []
    for (let job = 0; job < 100; job++) queue.run('mallory', () => begun.push(`mallory ${job}`))
    test.equal(begun.length, 4)
    queue.run('alice', () => begun.push('alice'))
    queue.run('bob', () => begun.push('bob'))
    await nextTurn()
    await nextTurn()
    test.ok(begun.indexOf('alice') > 0 && begun.indexOf('alice') < 8, begun.join())
    test.ok(begun.indexOf('bob') > 0 && begun.indexOf('bob') < 8)
    while (begun.length < 102) await nextTurn()
    test.strictSame(
      begun.filter((job) => job.startsWith('mallory')),
      Array.from({ length: 100 }, (_, job) => `mallory ${job}`),
      'all of them, in order',
    )
  },
)

await t.test('no turn begins more than the limit, and jobs begun by a job count', async (test) => {
  const queue = new TurnQueue(3)
  const perTurn: number[] = []
  const begun: string[] = []
  const job = (): void => {
    begun.push('alice')
    if (begun.length < 20) queue.run('alice', job)
  }
  for (let index = 0; index < 10; index++) queue.run(`requester ${index}`, () => void begun.push('other'))
  queue.run('alice', job)
  for (let before = 0; begun.length < 20;) {
    perTurn.push(begun.length - before)
    before = begun.length
    await nextTurn()
  }
  test.ok(Math.max(...perTurn) <= 3, perTurn.join())
})

await t.test('sparse jobs never wait', async (test) => {
  const queue = new TurnQueue(2)
  for (let turn = 0; turn < 50; turn++) {
    let isBegun = false
    queue.run('alice', () => (isBegun = true))
    test.ok(isBegun)
    await nextTurn()
  }
})

await t.test('a turn to wait for', async (test) => {
  const queue = new TurnQueue(1)
  const order: string[] = []
  await Promise.all(
    ['a', 'b', 'c'].map(async (requester) => {
      await queue.turn(requester)
      order.push(requester)
    }),
  )
  test.strictSame(order, ['a', 'b', 'c'])
})
