import t from 'tap'
import { FactWriter, type FactWriterOptions } from '../../src/shared-state/fact-writer.ts'
import { openLifeMs } from '../../src/digests/sightings.ts'
import { bucketOf } from '../../src/shared-state/keys.ts'
import type { Reply } from '../../src/shared-state/reply.ts'
import type { Session } from '../../src/shared-state/session.ts'
import type { Argument } from '../../src/shared-state/store-client.ts'
import { StoreUnavailable, StoreRefused } from '../../src/shared-state/store-errors.ts'
import { namesFact, tagFact } from './support.ts'

const now = 1_800_000_000_000
const fact = (name: string, isRestricted = false) => tagFact(name, isRestricted, now)

const setUp = (options: Partial<FactWriterOptions> = {}) => {
  const store = { isUp: true, reply: 1 as Reply | Error | Promise<Reply>, writes: [] as string[], others: 0 }
  const batches: { readonly isOnlyMissing: boolean; readonly facts: readonly Argument[][] }[] = []
  const send = async (args: readonly Argument[]): Promise<Reply> => {
    // After the script, the number of its keys, the keys, and what is of all facts.
    const rest = args.slice(13)
    const facts = rest.flatMap((_, at) => (at % 5 === 0 ? [rest.slice(at, at + 5)] : []))
    batches.push({ isOnlyMissing: args[9] === '1', facts })
    const reply = await store.reply
    if (reply instanceof Error) throw reply
    return reply
  }
  const writer = new FactWriter({
    origin: 'me',
    snapshot: () => [],
    session: () => ({ command: send, patiently: send }) as unknown as Session,
    isUp: () => store.isUp,
    epoch: () => 'epoch',
    onOtherEpoch: () => (store.others += 1),
    onWrites: (error) => store.writes.push(error?.code ?? 'ok'),
    wallClock: () => now,
    ...options,
  })
  return { store, batches, writer, sent: () => batches.flatMap(({ facts }) => facts) }
}

await t.test('facts that are published while a batch is in flight form the next one', async (test) => {
  const { store, batches, writer } = setUp()
  const answer = Promise.withResolvers<Reply>()
  store.reply = answer.promise
  const published = Array.from({ length: 10 }, async (_, at) => await writer.publish([fact(`${at}`)]))
  answer.resolve(1)
  await Promise.all(published)
  test.same(
    batches.map(({ facts }) => facts.length),
    [1, 9],
  )
  await writer.publish([])
  test.equal(batches.length, 2)
})

await t.test('batches are bounded', async (test) => {
  const { batches, writer } = setUp()
  await writer.publish(Array.from({ length: 600 }, (_, at) => fact(`${at}`)))
  test.same(
    batches.map(({ facts }) => facts.length),
    [256, 256, 88],
  )
  batches.length = 0
  await writer.publish(Array.from({ length: 10 }, (_, at) => namesFact(`${at}`, 200)))
  test.same(
    batches.map(({ facts }) => facts.length),
    [2, 2, 2, 2, 2],
  )
  batches.length = 0
  await writer.publish([namesFact('large', 4000), namesFact('too large', 5000)])
  test.same(
    batches.map(({ facts }) => facts.length),
    [1],
  )
})

await t.test(
  'an open fact goes into the bucket of its time; an expired one is skipped, one of a clock ahead counts as of now',
  async (test) => {
    const { writer, sent } = setUp()
    await writer.publish([
      fact('secret', true),
      fact('now'),
      tagFact('ahead', false, now + openLifeMs),
      tagFact('old', false, now - openLifeMs - 1),
      tagFact('old secret', true, 0),
    ])
    test.same(
      sent().map(([kind, bucket]) => [kind, bucket]),
      [
        ['T', ''],
        ['t', String(bucketOf(now))],
        ['t', String(bucketOf(now))],
        ['T', ''],
      ],
    )
  },
)

await t.test('facts that could not be sent are kept, and nobody waits', async (test) => {
  const { store, writer, sent, batches } = setUp()
  store.isUp = false
  await writer.publish([fact('unavailable')])
  test.equal(batches.length, 0)
  store.isUp = true
  for (const reply of [new StoreUnavailable('x'), new StoreRefused('OOM'), 0, 1]) {
    store.reply = reply
    await writer.flush()
  }
  test.same(store.writes, ['OOM', 'ok', 'ok'])
  test.equal(store.others, 1, 'another epoch is told')
  test.equal(sent().length, 4)
  await writer.flush()
  test.equal(batches.length, 4, 'and nothing is left')
})

await t.test('with too many unsent facts, all facts are sent again instead', async (test) => {
  const known = [fact('a'), fact('b', true)]
  const { store, batches, writer } = setUp({ maxPending: 3, snapshot: () => known })
  test.notOk(await writer.republishAll(), 'there is no need yet')
  store.isUp = false
  await writer.publish([1, 2, 3, 4].map((at) => fact(`${at}`)))
  await writer.publish([fact('after')])
  store.isUp = true
  await writer.flush()
  test.same(
    batches.map(({ facts, isOnlyMissing }) => [facts.length, isOnlyMissing]),
    [[1, false]],
  )
  test.same(
    await Promise.all([writer.republishAll(), writer.republishAll()]),
    [true, false],
    'once at a time',
  )
  test.same(
    batches.map(({ facts, isOnlyMissing }) => [facts.length, isOnlyMissing]),
    [
      [1, false],
      [2, true],
    ],
  )
  test.notOk(await writer.republishAll(), 'it is done')
})

await t.test('all facts are sent in batches', async (test) => {
  const known = Array.from({ length: 600 }, (_, at) => fact(`${at}`))
  const { batches, writer } = setUp({ snapshot: () => known })
  writer.republish()
  test.ok(await writer.republishAll())
  test.same(
    batches.map(({ facts }) => facts.length),
    [256, 256, 88],
  )
})

await t.test('facts that are given up while their batch is in flight are not counted twice', async (test) => {
  const { store, writer, batches } = setUp({ maxPending: 2 })
  const answer = Promise.withResolvers<Reply>()
  store.reply = answer.promise
  const first = writer.publish([fact('1')])
  await writer.publish([fact('2'), fact('3')])
  const last = writer.publish([fact('4')])
  answer.resolve(1)
  await Promise.all([first, last])
  test.same(
    batches.map(({ facts }) => facts.length),
    [1, 1],
  )
})

await t.test('sending all facts is repeated after a failure', async (test) => {
  const { store, writer } = setUp({ snapshot: () => [fact('a')] })
  writer.republish()
  for (const reply of [new StoreUnavailable('x'), new StoreRefused('MISCONF'), 0]) {
    store.reply = reply
    test.notOk(await writer.republishAll())
  }
  store.reply = 1
  test.ok(await writer.republishAll())
  test.same(store.writes, ['MISCONF', 'ok', 'ok'])
})

await t.test('publishing takes no longer than the deadline', async (test) => {
  const { store, writer } = setUp()
  store.reply = new Promise(() => undefined)
  const began = performance.now()
  await writer.publish([fact('a')])
  test.ok(performance.now() - began >= 240)
})

await t.test(
  'settled means that the store has all facts, and that nothing has to be sent again',
  async (test) => {
    const { store, writer } = setUp({ maxPending: 2, snapshot: () => [fact('a')] })
    test.ok(await writer.settle())
    store.reply = new StoreUnavailable('x')
    await writer.publish([fact('1')])
    test.notOk(await writer.settle())
    store.reply = 1
    test.ok(await writer.settle())
    await writer.publish(['1', '2', '3'].map((name) => fact(name)))
    test.notOk(await writer.settle(), 'some were given up')
    const answer = Promise.withResolvers<Reply>()
    store.reply = answer.promise
    const sending = writer.republishAll()
    test.notOk(await writer.settle(), 'not all are sent yet')
    answer.resolve(1)
    test.ok(await sending)
    test.ok(await writer.settle())
  },
)
