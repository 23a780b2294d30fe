import t from 'tap'
import { CopyQueue, type CopyQueueOptions } from '../../../src/mirror/queue/copy-queue.ts'
import type { CopyStatus, QueuedCopy } from '../../../src/mirror/queue/queued-copy.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { RegistryFailure } from '../../../src/mirror/registry/failure.ts'
import { fakeClock, settled } from '../../concurrency/fake-clock.ts'
import { copyOf } from './copies.ts'

const rules = {
  backoff: { firstMs: 1000, longestMs: 60_000 },
  maxFailures: { refused: 1, all: 3 },
  random: () => 0.999_999,
}

/** A queue whose copies end when the test says so. */
const started = (options: Partial<CopyQueueOptions> = {}) => {
  const clock = fakeClock()
  const begun: string[] = []
  const running = new Map<string, PromiseWithResolvers<void>>()
  const seen: CopyStatus[] = []
  const queue = new CopyQueue({
    run: async (copy: QueuedCopy) => {
      begun.push(copy.target)
      const end = Promise.withResolvers<void>()
      running.set(copy.target, end)
      await end.promise
    },
    maxConcurrent: 2,
    maxPerHost: 2,
    clock,
    rules,
    observe: (status) => seen.push(status),
    ...options,
  })
  const end = async (target: string, error?: Error) => {
    if (error === undefined) running.get(target)?.resolve()
    else running.get(target)?.reject(error)
    await settled()
  }
  return { queue, clock, begun, seen, end }
}
const transient = () => new RegistryFailure('transient', 'quay.io answered 503')

await t.test('hosts take turns', async (t) => {
  const { queue, begun, end } = started({ maxConcurrent: 1 })
  for (const target of ['q1', 'q2', 'q3', 'q4']) queue.put(copyOf(target, 'quay.io'))
  queue.put(copyOf('r1', 'registry.example.org'))
  queue.put(copyOf('g1', 'ghcr.io'))
  for (let round = 0; round < 6; round++) await end(begun.at(-1) as string)
  t.strictSame(begun, ['q1', 'q2', 'r1', 'g1', 'q3', 'q4'])
  t.strictSame(queue.list(), [])
})

await t.test('one slow host does not take all slots', async (t) => {
  const { queue, begun, end } = started({ maxConcurrent: 3, maxPerHost: 1 })
  for (const target of ['s1', 's2', 's3']) queue.put(copyOf(target, 'slow.example.org'))
  queue.put(copyOf('q1', 'quay.io'))
  t.strictSame(begun, ['s1', 'q1'])
  await end('s1')
  t.strictSame(begun, ['s1', 'q1', 's2'])
})

await t.test('a failure is tried again after its backoff, then it is dead with the reason', async (t) => {
  const { queue, clock, begun, end, seen } = started()
  queue.put(copyOf('a'))
  await end('a', transient())
  t.match(queue.list(), [{ state: 'backing off', failures: 1, lastError: 'quay.io answered 503' }])
  await clock.pass(900)
  t.equal(begun.length, 1)
  await clock.pass(100)
  t.equal(begun.length, 2)
  await end('a', transient())
  await clock.pass(2000)
  await end('a', transient())
  t.match(queue.list(), [{ state: 'dead', failures: 3, lastError: 'quay.io answered 503' }])
  await clock.pass(1_000_000)
  t.equal(begun.length, 3)
  t.equal(seen.length, 3)
  await queue.idle()
})

await t.test('other images of the host of a broken image are copied', async (t) => {
  const { queue, end, seen } = started()
  queue.put(copyOf('broken'))
  queue.put(copyOf('good'))
  await end('broken', new RegistryFailure('refused', 'a part of the list is missing'))
  await end('good')
  t.match(queue.list(), [{ target: 'broken', state: 'dead' }])
  t.strictSame(
    seen.map(({ target, state }) => `${target} ${state}`),
    ['broken dead', 'good copying'],
  )
})

await t.test('a dead copy is tried again with another digest, or when somebody requests it', async (t) => {
  const { queue, begun, end } = started()
  queue.put(copyOf('a'))
  await end('a', new RegistryFailure('refused', 'no'))
  queue.put(copyOf('a'))
  t.match(queue.list(), [{ state: 'dead' }], 'the same digest')
  queue.put(copyOf('a', 'quay.io', '1'))
  t.match(queue.list(), [{ state: 'copying', failures: 0 }])
  await end('a', new RegistryFailure('refused', 'no'))
  t.equal(queue.retry('a'), true)
  t.match(queue.list(), [{ state: 'copying' }])
  t.equal(queue.retry('a'), false)
  t.equal(queue.retry('b'), false)
  t.equal(begun.length, 3)
})

await t.test('another digest arrives during a copy', async (t) => {
  const { queue, begun, end } = started()
  queue.put(copyOf('a'))
  queue.put(copyOf('a'))
  queue.put(copyOf('a', 'ghcr.io', '1'))
  t.equal(begun.length, 1)
  await end('a', transient())
  t.match(queue.list(), [{ state: 'copying', failures: 0, digest: /11/, sourceHost: 'ghcr.io' }])
  await end('a')
  t.strictSame(queue.list(), [])
})

await t.test('a waiting copy can be replaced and removed, a running one cannot', async (t) => {
  const { queue, clock, begun, end } = started({ maxConcurrent: 1 })
  for (const target of ['a', 'b', 'c']) queue.put(copyOf(target))
  queue.put(copyOf('b', 'ghcr.io', '1'))
  t.equal(queue.remove('a'), false)
  t.equal(queue.remove('x'), false)
  t.equal(queue.remove('c'), true)
  await end('a', transient())
  t.strictSame(begun, ['a', 'b'])
  t.equal(queue.remove('a'), true, 'while it backs off')
  await clock.pass(10_000)
  t.strictSame(begun, ['a', 'b'])
  const idle = queue.idle()
  await end('b')
  await idle
  t.strictSame(queue.list(), [])
})

await t.test(
  'an image that needs no copy any more: the running copy ends, and none follows it',
  async (t) => {
    const { queue, begun, end } = started()
    queue.put(copyOf('a'))
    queue.put(copyOf('a', 'ghcr.io', '1'))
    t.equal(queue.remove('a'), false)
    await end('a')
    t.strictSame(begun, ['a'])
    t.strictSame(queue.list(), [])
  },
)

await t.test('a later comparison tells what QCI has now, and the failures of the digest stay', async (t) => {
  const { queue, end } = started()
  const imageStreamTag = { namespace: 'ocp', name: '4.5', tag: 'cli' }
  const replacing = (replaced: string) => ({
    ...copyOf('a'),
    distributed: { imageStreamTag, replaced: replaced as Digest, isStale: false },
  })
  queue.put(replacing('sha256:1'))
  await end('a', transient())
  queue.put(replacing('sha256:2'))
  t.match(queue.list(), [{ state: 'backing off', failures: 1, distributed: { replaced: 'sha256:2' } }])
  queue.put(copyOf('a'))
  t.match(queue.list(), [{ state: 'backing off', distributed: { replaced: 'sha256:2' } }])
})

await t.test('a requested try replaces the scheduled one', async (t) => {
  const { queue, clock, begun, end } = started()
  queue.put(copyOf('a'))
  await end('a', transient())
  queue.retry('a')
  await end('a', transient())
  await clock.pass(1500)
  t.equal(begun.length, 2, 'the first one is not due any more')
  await clock.pass(500)
  t.equal(begun.length, 3)
})

await t.test('after a stop, running copies are finished', async (t) => {
  const { queue, begun, end } = started({ maxConcurrent: 1 })
  queue.put(copyOf('a'))
  queue.put(copyOf('b'))
  let hasStopped = false
  const stopped = queue.stop().then(() => (hasStopped = true))
  await settled()
  t.equal(hasStopped, false)
  await end('a')
  await stopped
  t.strictSame(begun, ['a'])
  t.match(queue.list(), [{ target: 'b', state: 'waiting' }], 'nothing is dropped')
  t.equal(queue.remove('b'), true)
})

await t.test('the usual rules', async (t) => {
  const queue = new CopyQueue({
    run: async () => await Promise.reject(transient()),
    maxConcurrent: 1,
    maxPerHost: 1,
    clock: fakeClock(),
    observe: () => undefined,
  })
  queue.put(copyOf('a'))
  await settled()
  t.match(queue.list(), [{ state: 'backing off', failures: 1 }])
})

await t.test('another source or owner of the same digest starts over', async (t) => {
  const { queue, end, begun } = started()
  queue.put(copyOf('a'))
  await end('a', new RegistryFailure('refused', 'quay.io answered 403'))
  t.match(queue.list(), [{ state: 'dead' }])
  queue.put({ ...copyOf('a'), createdAt: 7 })
  t.match(queue.list(), [{ state: 'dead', createdAt: copyOf('a').createdAt }])
  queue.put(copyOf('a', 'ghcr.io'))
  t.match(queue.list(), [{ state: 'copying', failures: 0, sourceHost: 'ghcr.io' }])
  queue.put({ ...copyOf('a', 'ghcr.io'), owner: 'qciToAppCIImages' })
  await end('a')
  t.match(queue.list(), [{ state: 'copying', owner: 'qciToAppCIImages' }])
  await end('a')
  t.strictSame(begun, ['a', 'a', 'a'])
  t.strictSame(queue.list(), [])
})
