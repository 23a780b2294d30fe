import t from 'tap'
import { pipeBytes, type ByteSource, type ChunkSink } from '../../src/storage/pipe-bytes.ts'
import { ReadBuffers } from '../../src/storage/read-buffers.ts'
import { settled } from '../concurrency/fake-clock.ts'
import { bytesOf } from './fixtures.ts'

const content = bytesOf(5_000_000)

const sourceOf = (most = Infinity) => {
  const reads: number[] = []
  const source: ByteSource = {
    read: async (into, position) => {
      reads.push(into.length)
      return content.copy(into, 0, position, position + Math.min(into.length, most))
    },
  }
  return { source, reads }
}

const collect = () => {
  const chunks: Buffer[] = []
  const sink: ChunkSink = (chunk, release) => {
    chunks.push(Buffer.from(chunk))
    release()
  }
  return { sink, bytes: () => Buffer.concat(chunks), chunks }
}

await t.test('every byte, in order, from and to any offset', async (test) => {
  for (const most of [1000, 65_536, Infinity])
    for (const [start, end] of [
      [0, content.length],
      [0, 0],
      [1, 2],
      [65_535, 65_537],
      [2_999_999, 3_000_000],
    ] as const) {
      const { sink, bytes } = collect()
      await pipeBytes({ source: sourceOf(most).source, buffers: new ReadBuffers(), start, end }, sink)
      test.ok(bytes().equals(content.subarray(start, end)), `${start} to ${end} by ${most}`)
    }
})

await t.test('chunks get large for a client that keeps up, and small again', async (test) => {
  let time = 0
  let isSlow = false
  const { source, reads } = sourceOf()
  const sink: ChunkSink = (_chunk, release) => {
    if (isSlow) time += 160
    isSlow = reads.length === 10
    release()
  }
  const buffers = new ReadBuffers()
  await pipeBytes({ source, buffers, start: 0, end: content.length, now: () => time }, sink)
  test.equal(reads[0], 65_536)
  test.equal(reads[9], 1_048_576)
  test.equal(reads[11], 65_536)
})

await t.test('a slow sink has one chunk; a quick one has two', async (test) => {
  const out: (() => void)[] = []
  const { source, reads } = sourceOf(1000)
  const sink: ChunkSink = (_chunk, release) => void out.push(release)
  const now = () => 0
  const piped = pipeBytes({ source, buffers: new ReadBuffers(), start: 0, end: 20_000, now }, sink)
  for (let index = 0; index < 8; index++) {
    await settled()
    test.equal(out.length, index + 1)
    test.equal(reads.length, index + 1)
    out[index]?.()
    out[index]?.()
  }
  await settled()
  test.equal(out.length, 9)
  test.equal(reads.length, 10, 'read ahead')
  for (let index = 8; index < 20; index++) {
    out[index]?.()
    await settled()
  }
  await piped
  test.equal(out.length, 20)
})

await t.test('a client that leaves ends it at once, wherever it waits', async (test) => {
  const reason = new Error('gone')
  const buffers = new ReadBuffers()
  const end = content.length
  for (const [name, source, sink] of [
    ['for bytes', { read: async () => await new Promise<number>(() => undefined) }, () => undefined],
    ['for its own network', sourceOf().source, () => undefined],
  ] as [string, ByteSource, ChunkSink][]) {
    const controller = new AbortController()
    const piped = pipeBytes({ source, buffers, start: 0, end, signal: controller.signal }, sink)
    await settled()
    controller.abort(reason)
    await test.rejects(piped, reason, name)
    await test.rejects(pipeBytes({ source, buffers, start: 0, end, signal: controller.signal }, sink), reason)
  }
})

await t.test('a client that leaves while it takes a chunk', async (test) => {
  const controller = new AbortController()
  const { signal } = controller
  const buffers = new ReadBuffers()
  const piped = pipeBytes({ source: sourceOf().source, buffers, start: 0, end: 200_000, signal }, () =>
    controller.abort(new Error('gone')),
  )
  await test.rejects(piped, { message: 'gone' })
})

await t.test('errors of the source and of the sink', async (test) => {
  const buffers = new ReadBuffers()
  const failed = { read: async () => await Promise.reject(new Error('EIO')) }
  await test.rejects(
    pipeBytes({ source: failed, buffers, start: 0, end: 1 }, () => undefined),
    { message: 'EIO' },
  )
  const thrown = pipeBytes({ source: sourceOf().source, buffers, start: 0, end: 1 }, () => {
    throw new Error('closed')
  })
  await test.rejects(thrown, { message: 'closed' })
})

await t.test('attack: memory of a reader that failed is not given back later', async (test) => {
  const buffers = new ReadBuffers()
  const out: { readonly chunk: Buffer; readonly release: () => void }[] = []
  const controller = new AbortController()
  const piped = pipeBytes(
    { source: sourceOf().source, buffers, start: 0, end: 70_000, signal: controller.signal },
    (chunk, release) => void out.push({ chunk, release }),
  )
  await settled()
  controller.abort()
  await test.rejects(piped)
  out[0]?.release()
  test.not(buffers.take(false).buffer, out[0]?.chunk.buffer)
})
