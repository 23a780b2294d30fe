import t from 'tap'
import { DiskQueue, DiskTooSlow } from '../../src/storage/disk-queue.ts'
import { fakeClock, settled, staying } from '../concurrency/fake-clock.ts'

/** Operations that the test ends. */
const scripted = (queue: DiskQueue) => {
  const begun: string[] = []
  const ends = new Map<string, PromiseWithResolvers<string>>()
  const run = async (requester: string, name: string, drop?: (value: string) => void) => {
    const end = Promise.withResolvers<string>()
    ends.set(name, end)
    const operation = async () => {
      begun.push(name)
      return await end.promise
    }
    return await queue.run(requester, operation, drop)
  }
  return { begun, run, end: (name: string) => ends.get(name)?.resolve(name), ends }
}

await t.test('a few at a time, one requester after the other', async (test) => {
  const { begun, run, end } = scripted(new DiskQueue({ maxRunning: 2 }))
  const all = ['a1', 'a2', 'a3', 'a4', 'b1'].map(async (name) => await run(name.slice(0, 1), name))
  await settled()
  test.strictSame(begun, ['a1', 'a2'])
  for (const name of ['a1', 'a2', 'a3', 'b1', 'a4']) {
    end(name)
    await settled()
  }
  test.strictSame(begun, ['a1', 'a2', 'a3', 'b1', 'a4'])
  test.strictSame(await Promise.all(all), ['a1', 'a2', 'a3', 'a4', 'b1'])
})

await t.test('an error is that of the operation', async (test) => {
  const queue = new DiskQueue()
  await test.rejects(
    queue.run('a', async () => await Promise.reject(new Error('EIO'))),
    { message: 'EIO' },
  )
  test.equal(await queue.run('a', async () => await Promise.resolve(1)), 1)
})

await t.test('attack: a disk that hangs opens the circuit, until it answers', async (test) => {
  staying(test)
  const clock = fakeClock()
  const queue = new DiskQueue({ maxRunning: 1, deadlineMs: 1000, clock })
  const { begun, run, end } = scripted(queue)
  const dropped: string[] = []
  const hung = run('a', 'hung', (value) => void dropped.push(value))
  const waiting = run('b', 'waiting')
  const failed = Promise.all([test.rejects(hung, DiskTooSlow), test.rejects(waiting, DiskTooSlow)])
  await clock.pass(1000)
  await failed
  test.ok(queue.isStuck)
  await test.rejects(run('b', 'refused'), { name: 'DiskTooSlow', message: 'the disk hangs' })
  test.strictSame(begun, ['hung'])
  end('hung')
  await settled()
  test.strictSame(dropped, ['hung'], 'nobody else would close what it has opened')
  test.notOk(queue.isStuck)
  const next = run('b', 'next')
  end('next')
  test.equal(await next, 'next')
})

await t.test('operations that end too late, without a value to drop or with an error', async (test) => {
  staying(test)
  const clock = fakeClock()
  const queue = new DiskQueue({ deadlineMs: 10, clock })
  const { run, end, ends } = scripted(queue)
  const failed = Promise.all(
    ['value', 'error'].map(async (name) => await test.rejects(run('a', name), DiskTooSlow)),
  )
  await clock.pass(10)
  await failed
  end('value')
  ends.get('error')?.reject(new Error('EIO'))
  await settled()
  test.notOk(queue.isStuck)
  test.equal(clock.pending(), 0)
})

await t.test('an operation that ends in the same turn as its deadline is in time', async (test) => {
  let due: () => void = () => undefined
  const clock = { now: () => 0, after: (_ms: number, run: () => void) => ((due = run), () => undefined) }
  const queue = new DiskQueue({ clock })
  const { run, end } = scripted(queue)
  const value = run('a', 'value')
  due()
  end('value')
  test.equal(await value, 'value')
  await settled()
  test.notOk(queue.isStuck)
})

await t.test('many readers wait for their turn, and are refused when the disk hangs', async (test) => {
  staying(test)
  const clock = fakeClock()
  const queue = new DiskQueue({ maxRunning: 2, deadlineMs: 1000, clock })
  const { begun, run, end } = scripted(queue)
  const all = ['first', 'second', 'third', 'fourth'].map(async (name) => await run('a', name))
  const outcomes = Promise.allSettled(all)
  await clock.pass(900)
  end('first')
  await clock.pass(150)
  end('third')
  test.strictSame(begun, ['first', 'second', 'third'])
  test.strictSame(
    (await outcomes).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
  )
})

await t.test('nobody waits for a turn without an end', async (test) => {
  staying(test)
  const clock = fakeClock()
  const { run, end } = scripted(new DiskQueue({ maxRunning: 1, deadlineMs: 100_000, clock }))
  const first = run('a', 'first')
  const refused = test.rejects(run('a', 'second'), { message: 'the disk has too much to do (time)' })
  await clock.pass(20_000)
  await refused
  end('first')
  test.equal(await first, 'first')
})
