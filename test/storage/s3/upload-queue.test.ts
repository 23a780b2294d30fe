import t from 'tap'
import { UploadQueue } from '../../../src/storage/s3/upload-queue.ts'
import { staying } from '../../concurrency/fake-clock.ts'

const pendingUpload = () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const seen = { runs: 0, signal: undefined as AbortSignal | undefined }
  const upload = async (signal: AbortSignal) => {
    seen.runs += 1
    seen.signal = signal
    await promise
  }
  return { upload, resolve, seen }
}
const turn = async () => await new Promise((resolve) => setImmediate(resolve))
const neverDropped = () => {
  throw new Error('dropped')
}

await t.test('never two uploads of one object, and a few at a time', async (test) => {
  staying(test)
  const queue = new UploadQueue({ maxRunning: 2 })
  const uploads = ['a', 'b', 'c'].map((key) => ({ key, ...pendingUpload() }))
  for (const { key, upload } of [...uploads, ...uploads]) queue.add(key, 'alice', upload, neverDropped)
  await turn()
  test.strictSame(
    uploads.map(({ seen }) => seen.runs),
    [1, 1, 0],
  )
  test.equal(queue.size, 3)
  test.ok(queue.has('c'))
  uploads[0]?.resolve()
  await turn()
  test.strictSame(
    uploads.map(({ seen }) => seen.runs),
    [1, 1, 1],
  )
  for (const { resolve } of uploads) resolve()
  await turn()
  test.equal(queue.size, 0)
})

await t.test('one upload is given up, and no other one', async (test) => {
  staying(test)
  const queue = new UploadQueue({ maxRunning: 2 })
  const [one, other] = [pendingUpload(), pendingUpload()]
  const aborting = async (signal: AbortSignal) => {
    signal.addEventListener('abort', () => one.resolve())
    await one.upload(signal)
  }
  queue.add('one', 'alice', aborting, neverDropped)
  queue.add('other', 'alice', other.upload, neverDropped)
  await turn()
  await queue.cancel('one')
  await queue.cancel('unknown')
  test.ok(one.seen.signal?.aborted)
  test.notOk(other.seen.signal?.aborted)
  test.equal(queue.size, 1)
  other.resolve()
})

await t.test('a requester with many uploads does not keep others waiting', async (test) => {
  staying(test)
  const queue = new UploadQueue({ maxRunning: 1 })
  const order: string[] = []
  const first = pendingUpload()
  queue.add('first', 'alice', first.upload, neverDropped)
  for (const key of ['a1', 'a2', 'a3'])
    queue.add(key, 'alice', async () => void order.push(key), neverDropped)
  queue.add('b1', 'bob', async () => void order.push('b1'), neverDropped)
  first.resolve()
  while (queue.size > 0) await turn()
  test.ok(order.indexOf('b1') <= 1, order.join())
})

await t.test('more than may wait are dropped', async (test) => {
  staying(test)
  const queue = new UploadQueue({ maxRunning: 1, maxQueued: 2 })
  const first = pendingUpload()
  let dropped = 0
  queue.add('0', 'alice', first.upload, neverDropped)
  for (const key of ['1', '2', '3'])
    queue.add(
      key,
      'alice',
      async () => undefined,
      () => void (dropped += 1),
    )
  await turn()
  test.equal(dropped, 2, 'half of the queue is the most of one requester')
  first.resolve()
  while (queue.size > 0) await turn()
})

await t.test('the end gives up those that wait and those that run, and takes no more', async (test) => {
  staying(test)
  const queue = new UploadQueue({ maxRunning: 1 })
  const running = pendingUpload()
  const waiting = pendingUpload()
  let dropped = 0
  queue.add('a', 'alice', running.upload, neverDropped)
  queue.add('b', 'alice', waiting.upload, () => void (dropped += 1))
  await turn()
  const closed = queue.close()
  test.ok(running.seen.signal?.aborted)
  running.resolve()
  await closed
  test.equal(dropped, 1)
  queue.add('c', 'alice', waiting.upload, neverDropped)
  test.equal(waiting.seen.runs, 0)
  test.equal(queue.size, 0)
})
