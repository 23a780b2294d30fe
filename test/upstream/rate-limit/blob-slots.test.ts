import t from 'tap'
import { createBlobSlots, type BlobSlotsOptions } from '../../../src/upstream/rate-limit/blob-slots.ts'
import { PoolExhausted, TransientUpstreamError } from '../../../src/upstream/errors.ts'
import type { Digest } from '../../../src/oci/reference.ts'
import type { Blob, Body } from '../../../src/oci/image-source.ts'
import { fakeClock, settled } from '../../concurrency/fake-clock.ts'
import { failure } from '../upstream.ts'
const digest = `sha256:${'a'.repeat(64)}` as Digest

const times = (count: number, requester: string) => Array.from({ length: count }, () => requester)

/** A body that the test ends. */
const bodyOf = (end: Promise<void>): Body => ({
  pipeTo: async () => await end,
  discard: async () => undefined,
})

const setUp = (options: Partial<BlobSlotsOptions> = {}) => {
  const clock = fakeClock()
  const refused: string[] = []
  const withSlot = createBlobSlots({
    maxSlots: 8,
    observeRefused: (why) => void refused.push(why),
    clock,
    ...options,
  })
  const opened: string[] = []
  /** How to end each that is on its way, in the order they began. */
  const running: { requester: string; end: () => void; fail: (error: Error) => void }[] = []
  const openBlob = withSlot(async ({ requester }): Promise<Blob> => {
    opened.push(requester)
    const { promise, resolve: end, reject: fail } = Promise.withResolvers<void>()
    running.push({ requester, end, fail })
    return { status: 200, headers: {}, body: bodyOf(promise) }
  })
  /** In the background where the requester is x. */
  const send = async (requester: string, signal?: AbortSignal) => {
    const { body } = await openBlob({
      priority: requester === 'x' ? 'background' : undefined,
      method: 'GET',
      digest,
      range: undefined,
      ifRange: undefined,
      requester,
      signal,
    })
    await body?.pipeTo((_chunk, written) => written())
  }
  const askAll = async (...requesters: readonly string[]) => {
    const failures: unknown[] = []
    for (const requester of requesters) send(requester).catch((error: unknown) => void failures.push(error))
    await settled()
    return failures
  }
  const end = async (requester: string) => {
    running
      .splice(
        running.findIndex((one) => one.requester === requester),
        1,
      )[0]
      ?.end()
    await settled()
  }
  return { clock, withSlot, opened, running, refused, send, askAll, end }
}

await t.test('one requester gets most slots, and never the last ones', async (test) => {
  const { opened, askAll, end } = setUp()
  await askAll(...times(8, 'a'))
  test.strictSame(opened.join(''), 'aaaaaa', 'two of eight are left for others')
  await askAll('b', 'c')
  test.strictSame(opened.join(''), 'aaaaaabc', 'who find them while others wait')
  await askAll('d')
  test.strictSame(opened.length, 8, 'there are no more than there are')
  await end('a')
  test.strictSame(
    opened.join(''),
    'aaaaaabcd',
    'the next place is for who has none, though others came before',
  )
  await end('b')
  await end('c')
  await end('d')
  test.strictSame(opened.join(''), 'aaaaaabcda', 'and below what is shared out for whoever waits')
})

await t.test('a requester with its share of the last slots waits for one of its own', async (test) => {
  const { opened, askAll, end } = setUp({ maxSlots: 12 })
  await askAll(...times(9, 'a'), ...times(4, 'b'))
  test.strictSame(opened.join(''), 'aaaaaaaaabbb', 'up to twelve')
  await end('a')
  test.strictSame(opened.at(-1), 'b', 'its fourth is its share of twelve, as though a third requester came')
  await askAll('b')
  await end('a')
  test.strictSame(opened.length, 13, 'a fifth is not, though a place is free')
  await end('b')
  test.strictSame(opened.length, 14)
})

await t.test('a request without a slot after 8 s is a 503', async (test) => {
  const { clock, askAll, refused } = setUp({ maxSlots: 1 })
  await askAll('a')
  const failures = await askAll('b')
  await clock.pass(7999)
  test.strictSame(failures, [])
  await clock.pass(1)
  test.ok(failures[0] instanceof PoolExhausted)
  test.match(failures[0], { status: 503, headers: { 'retry-after': '1' } })
  test.strictSame(refused, ['time'])
  test.equal(clock.pending(), 0)
})

await t.test('the queue is bounded, and one requester does not fill it', async (test) => {
  const { askAll, refused, opened, end } = setUp({ maxSlots: 1, maxQueued: 2 })
  const failures = await askAll('a', 'b', 'b', 'b', 'c')
  test.strictSame(refused, ['own-queue', 'own-queue'])
  test.equal(failures.length, 2)
  await end('a')
  await end('b')
  test.strictSame(opened, ['a', 'b', 'c'])
})

await t.test('a slot is released however a blob ends', async (test) => {
  const { send, opened, running, withSlot } = setUp({ maxSlots: 1 })
  const cut = send('a')
  await settled()
  running[0]?.fail(new TransientUpstreamError('UNAVAILABLE', 'cut'))
  test.match(await failure(cut), { message: 'cut' })

  const request = { method: 'GET', digest, range: undefined, ifRange: undefined, requester: 'a' } as const
  const refusing = withSlot(async () => {
    throw new TransientUpstreamError('UNAVAILABLE', 'away')
  })
  for (let time = 0; time < 3; time++) test.match(await failure(refusing(request)), { message: 'away' })

  const headless = withSlot(async () => ({ status: 200, headers: {}, body: undefined }))
  for (let time = 0; time < 3; time++) await headless(request)

  const unwanted = withSlot(async () => ({
    status: 200,
    headers: {},
    body: bodyOf(Promise.resolve()),
  }))
  for (let time = 0; time < 3; time++) await (await unwanted(request)).body?.discard()

  void send('a')
  await settled()
  test.strictSame(opened, ['a', 'a'])
})

await t.test('a request that leaves the queue takes no slot', async (test) => {
  const { askAll, send, end, opened, clock } = setUp({ maxSlots: 1 })
  await askAll('a')
  const goes = new AbortController()
  const waiting = failure(send('b', goes.signal))
  await settled()
  goes.abort(new Error('gone'))
  test.match(await waiting, { code: 'UNAVAILABLE' })
  await askAll('c')
  await end('a')
  test.strictSame(opened, ['a', 'c'])
  test.equal(clock.pending(), 0)
})

await t.test('the background gets half of the slots at most, if no other request waits', async (test) => {
  const { clock, opened, askAll, end, refused } = setUp()
  const failures = await askAll(...times(6, 'x'))
  test.strictSame(opened.join(''), 'xxxx')
  await askAll(...times(5, 'a'), ...times(2, 'b'))
  test.strictSame(opened.join(''), 'xxxxaabb', 'the rest is shared out among those who wait')
  for (let left = 0; left < 4; left++) await end('x')
  test.strictSame(opened.slice(8).join(''), 'aa', 'and then nobody of the background goes before them')
  for (const requester of ['a', 'a', 'a', 'a', 'b', 'b']) await end(requester)
  test.strictSame(opened.slice(10).join(''), 'axx')
  await clock.pass(60_000)
  test.equal(failures.length, refused.length)
})

await t.test('a background request waits for a minute', async (test) => {
  const { clock, opened, askAll, refused } = setUp({ maxSlots: 2 })
  const failures = await askAll('a', 'x')
  test.strictSame(opened.join(''), 'a')
  await clock.pass(59_999)
  test.strictSame(failures, [])
  await clock.pass(1)
  test.ok(failures[0] instanceof PoolExhausted)
  test.strictSame(refused, ['time'])
})
