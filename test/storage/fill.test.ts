import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { systemDisk } from '../../src/storage/disk.ts'
import { DiskQueue } from '../../src/storage/disk-queue.ts'
import { heldBackBytes, type Fill } from '../../src/storage/fill.ts'
import { FillEnded, WrongContent } from '../../src/storage/fill-outcome.ts'
import { pipeBytes } from '../../src/storage/pipe-bytes.ts'
import { ReadBuffers } from '../../src/storage/read-buffers.ts'
import { settled } from '../concurrency/fake-clock.ts'
import { until } from '../support/until.ts'
import { addAll, bytesOf, digestOf, diskWith, failing, fillFor, freshDirectory, hanging } from './fixtures.ts'

const content = bytesOf(300_000)
const buffers = new ReadBuffers()

const sourceOf = (fill: Fill) => ({
  read: async (into: Buffer, position: number) => await fill.read(into, position, 'alice'),
})

/** A reader that takes all as it comes. */
const follow = (fill: Fill, start = 0, end = fill.size) => {
  fill.enter()
  const chunks: Buffer[] = []
  const done = pipeBytes({ source: sourceOf(fill), buffers, start, end }, (chunk, release) => {
    chunks.push(Buffer.from(chunk))
    release()
  }).finally(() => fill.leave())
  done.catch(() => undefined)
  return { done, bytes: () => Buffer.concat(chunks) }
}

await t.test(
  'readers from any offset get every byte, and the last ones only when all are right',
  async (test) => {
    for (const algorithm of ['sha256', 'sha512']) {
      const published = Promise.withResolvers<void>()
      const { fill, ended } = fillFor(test, content, {
        digest: digestOf(content, algorithm),
        publish: async () => await published.promise,
      })
      const offsets = [0, 1, 65_536, 299_000, 299_999]
      const readers = offsets.map((start) => follow(fill, start))
      const part = follow(fill, 10, 20)
      await addAll(fill, content)
      await part.done
      test.ok(part.bytes().equals(content.subarray(10, 20)))
      await until(() => readers[0]!.bytes().length === content.length - heldBackBytes)
      test.equal(fill.available, content.length - heldBackBytes)
      test.equal(readers[3]!.bytes().length, 0)
      const completed = fill.complete()
      await Promise.all(readers.map(async ({ done }) => await done))
      for (const [index, { bytes }] of readers.entries())
        test.ok(bytes().equals(content.subarray(offsets[index])), `${algorithm} from ${offsets[index]}`)
      test.strictSame(ended, [], 'no reader waits for the flush')
      published.resolve()
      await completed
      test.strictSame(ended, ['stored'])
    }
  },
)

await t.test('a wrong digest or length: no reader gets the last bytes', async (test) => {
  const wrong = Buffer.from(content)
  wrong[5] = 255
  for (const [name, sent, size] of [
    ['digest', wrong, content.length],
    ['too short', content.subarray(0, -1), content.length],
    ['too long', content, content.length - 1],
  ] as const) {
    const { fill, ended } = fillFor(test, content, { size })
    const reader = follow(fill)
    await addAll(fill, sent).then(
      async () => await fill.complete(),
      async (error: unknown) => await fill.fail(error),
    )
    await test.rejects(reader.done, WrongContent, name)
    test.ok(reader.bytes().length <= size - heldBackBytes)
    test.strictSame(ended, ['wrong'])
    test.notOk(fill.isOpen)
    test.throws(() => fill.add(Buffer.from('x'), () => undefined), WrongContent)
  }
})

await t.test(
  'upstream breaks off: readers get the bytes so far, and read the rest from another source',
  async (test) => {
    const { fill, ended } = fillFor(test, content)
    const quick = follow(fill)
    fill.enter()
    await addAll(fill, content.subarray(0, 100_000))
    const failed = fill.fail(new Error('cut'))
    await fill.fail(new Error('cut again'))
    await failed
    await test.rejects(quick.done, { name: 'FillEnded' })
    test.ok(quick.bytes().equals(content.subarray(0, 100_000)))
    const late = follow(fill, 50_000)
    await test.rejects(late.done, FillEnded)
    test.ok(late.bytes().equals(content.subarray(50_000, 100_000)))
    fill.leave()
    test.strictSame(ended, ['failed'])
    await fill.complete()
    test.strictSame(ended, ['failed'])
    const after = follow(fill)
    await test.rejects(after.done, { message: 'the fill was over before' })
  },
)

await t.test('errors of the disk, and what each is', async (test) => {
  const rows = [
    ['ENOSPC', 'full'],
    ['EDQUOT', 'full'],
    ['EROFS', 'unwritable'],
    ['EIO', 'unwritable'],
  ] as const
  for (const [code, outcome] of rows) {
    let writes = 0
    const disk = diskWith({
      write: async (fd, bytes, position) => {
        writes += 1
        if (writes > 3) await failing(code)()
        await systemDisk.write(fd, bytes, position)
      },
    })
    const { fill, ended } = fillFor(test, content, { disk })
    const reader = follow(fill)
    await test.rejects(addAll(fill, content), FillEnded)
    test.ok(fill.signal.aborted, 'upstream is told')
    await test.rejects(reader.done, FillEnded)
    const got = reader.bytes()
    test.ok(got.equals(content.subarray(0, got.length)), code)
    test.ok(got.length >= 30_000 && got.length <= 50_000, 'what the disk has, and what it was to get')
    test.strictSame(ended, [outcome])
  }
})

await t.test('a disk that fails when the file is published: readers have all', async (test) => {
  const { fill, ended } = fillFor(test, content, { publish: failing('EIO') })
  const reader = follow(fill)
  await addAll(fill, content)
  await fill.complete()
  await reader.done
  test.ok(reader.bytes().equals(content))
  test.strictSame(ended, ['unwritable'])
})

await t.test('a disk that hangs: the fill is given up, and the bytes before it are read', async (test) => {
  let writes = 0
  const disk = diskWith({
    write: async (fd, bytes, position) => {
      writes += 1
      if (writes > 3) await hanging()
      await systemDisk.write(fd, bytes, position)
    },
  })
  const { fill, ended } = fillFor(test, content, { disk, queue: new DiskQueue({ deadlineMs: 30 }) })
  const reader = follow(fill)
  await test.rejects(addAll(fill, content), FillEnded)
  await test.rejects(reader.done, FillEnded)
  const got = reader.bytes()
  test.ok(got.equals(content.subarray(0, got.length)))
  test.ok(got.length >= 30_000 && got.length <= 50_000, 'what the disk has, and what it was to get')
  test.strictSame(ended, ['slow'])
})

await t.test(
  'a disk slower than upstream is given up where a reader waits for it, and only there',
  async (test) => {
    for (const [isAwaited, busyness] of [
      [true, 0.1],
      [false, 0.1],
      [true, 0.9],
    ] as const) {
      const isGivenUp = isAwaited && busyness < 0.5
      let time = 0
      let isWaitingFor: () => boolean = () => true
      const disk = diskWith({
        write: async (fd, bytes, position) => {
          time += 90
          await systemDisk.write(fd, bytes, position)
          // The reader has read everything before, and waits for this write.
          if (isAwaited) await until(isWaitingFor)
          await settled()
        },
      })
      const { fill, ended } = fillFor(test, content, { disk, now: () => time, busyness: () => busyness })
      // A client that is busy with the bytes that it has.
      fill.enter()
      const reader = follow(fill, isAwaited ? 0 : 200, isAwaited ? fill.size : 300)
      isWaitingFor = () => reader.bytes().length >= fill.available
      const added = addAll(fill, content).then(
        () => 'whole',
        () => 'given up',
      )
      test.equal(await added, isGivenUp ? 'given up' : 'whole')
      test.strictSame(ended, isGivenUp ? ['slow'] : [])
      await fill.complete()
      await reader.done.catch(() => undefined)
    }
  },
)

await t.test('a slow network is no slow disk', async (test) => {
  const busyness = 0.1
  let time = 0
  let written = 0
  const disk = diskWith({
    write: async (fd, bytes, position) => {
      time += 90
      await systemDisk.write(fd, bytes, position)
      written += bytes.length
    },
  })
  const { fill, ended } = fillFor(test, content, { disk, now: () => time, busyness: () => busyness })
  const reader = follow(fill)
  for (let at = 0; at < content.length; at += 10_000) {
    await addAll(fill, content.subarray(at, at + 10_000))
    await until(() => written === at + 10_000)
    await settled()
    time += 100
  }
  await fill.complete()
  await reader.done
  test.strictSame(ended, ['stored'])
})

await t.test('a disk that is slow in fact, while the event loop has nothing to do', async (test) => {
  const disk = diskWith({
    write: async (fd, bytes, position) => {
      await sleep(120)
      await systemDisk.write(fd, bytes, position)
    },
  })
  const { fill, ended } = fillFor(test, content, { disk })
  const reader = follow(fill)
  await test.rejects(addAll(fill, content), FillEnded)
  await test.rejects(reader.done, FillEnded)
  test.strictSame(ended, ['slow'])
})

await t.test('chunks that wait behind one that cannot be written', async (test) => {
  let writes = 0
  const write = async () => {
    writes += 1
    await failing('ENOSPC')()
  }
  const { fill, ended } = fillFor(test, content, { disk: diskWith({ write }) })
  fill.enter()
  await Promise.all(
    [1, 2, 3].map(
      async () => await new Promise<void>((release) => fill.add(content.subarray(0, 10_000), release)),
    ),
  )
  test.equal(writes, 1)
  test.strictSame(ended, ['full'])
  test.notOk(fill.isOpen)
  const over = fillFor(test, content)
  await addAll(over.fill, content)
  await over.fill.complete()
  test.notOk(over.fill.isOpen, 'nobody reads it')
})

await t.test('the last reader that leaves ends a fill of which most is missing', async (test) => {
  const { fill, ended } = fillFor(test, content)
  const [first, second] = [new AbortController(), new AbortController()].map((controller) => {
    fill.enter()
    const { signal } = controller
    const done = pipeBytes(
      { source: sourceOf(fill), buffers, start: 0, end: fill.size, signal },
      (_chunk, release) => release(),
    ).finally(() => fill.leave())
    return { controller, done }
  })
  await addAll(fill, content.subarray(0, 140_000))
  first!.controller.abort()
  await test.rejects(first!.done)
  test.strictSame(ended, [])
  second!.controller.abort()
  await test.rejects(second!.done)
  test.strictSame(ended, ['cancelled'])
  test.ok(fill.signal.aborted)
})

await t.test('a fill that is nearly complete continues without readers, for a while', async (test) => {
  const { fill, ended } = fillFor(test, content, { unreadMs: 20 })
  fill.enter()
  await addAll(fill, content.subarray(0, 160_000))
  fill.leave()
  fill.enter()
  await addAll(fill, content.subarray(160_000, 170_000))
  test.strictSame(ended, [], 'somebody reads it again')
  fill.leave()
  await until(() => ended.length > 0)
  test.strictSame(ended, ['cancelled'])
  const whole = fillFor(test, content)
  whole.fill.enter()
  await addAll(whole.fill, content.subarray(0, 160_000))
  whole.fill.leave()
  await addAll(whole.fill, content.subarray(160_000))
  await whole.fill.complete()
  test.strictSame(whole.ended, ['stored'])
})

await t.test('attack: a file that somebody has cut in the meantime', async (test) => {
  const disk = diskWith({ read: async () => await Promise.resolve(0) })
  const { fill } = fillFor(test, content, { disk })
  await addAll(fill, content)
  const reader = follow(fill)
  await test.rejects(reader.done, FillEnded)
})

await t.test('attack: the descriptor is not closed before the last write has ended', async (test) => {
  const slow = Promise.withResolvers<void>()
  const closed: number[] = []
  const disk = diskWith({
    write: async () => await slow.promise,
    close: async (fd) => {
      closed.push(fd)
      closeSync(fd)
      throw new Error('EIO')
    },
  })
  const { fill, ended } = fillFor(test, content, { disk, queue: new DiskQueue({ deadlineMs: 10 }) })
  fill.enter()
  await test.rejects(addAll(fill, content), FillEnded)
  fill.leave()
  await new Promise((resolve) => setTimeout(resolve, 30))
  test.strictSame(ended, ['slow'])
  test.strictSame(closed, [])
  slow.reject(new Error('EIO'))
  await until(() => closed.length === 1)
})

await t.test('the file holds the bytes', async (test) => {
  const path = join(freshDirectory(test), 'file')
  const { fill } = fillFor(test, content, { fd: openSync(path, 'wx+') })
  await addAll(fill, content)
  await fill.complete()
  test.ok(readFileSync(path).equals(content))
})

await t.test('a reader that changes to another source gets the hash of its bytes', async (test) => {
  const { fill } = fillFor(test, content)
  await addAll(fill, content.subarray(0, 20_000))
  const hexOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  test.equal(fill.prefix(20_000).hash.digest('hex'), hexOf(content.subarray(0, 20_000)))
  test.strictSame(fill.prefix(5).check, { until: 20_000, hex: hexOf(content.subarray(0, 20_000)) })
})
