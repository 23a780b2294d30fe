import t from 'tap'
import type { Test } from 'tap'
import { createBlobs } from '../../../src/upstream/blobs.ts'
import { PoolExhausted, TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { createResume, type ResumeOptions } from '../../../src/upstream/resilience/resume.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import type { Digest } from '../../../src/oci/reference.ts'
import type { Blob, BlobRequest, OpenBlob, Body } from '../../../src/oci/image-source.ts'
import type { FaultRule } from '../../../src/sandbox/quay/faults.ts'
import { quayFor, smallImage } from '../../sandbox/quay/quay-client.ts'
import { bytesOf, connect, failure, told } from '../upstream.ts'
const digest = `sha256:${'a'.repeat(64)}` as Digest
const content = Buffer.from('0123456789')
const transientError = new TransientUpstreamError('UNAVAILABLE', 'cut')

const request = (more: Partial<BlobRequest> = {}): BlobRequest => ({
  method: 'GET',
  digest,
  range: undefined,
  ifRange: undefined,
  requester: 'alice',
  ...more,
})

/** Chunks of two bytes, then the error, if there is one. */
const bodyOf = (bytes: Buffer, error?: unknown): Body & { discarded: number } => {
  const body = {
    discarded: 0,
    pipeTo: async (take: Parameters<Body['pipeTo']>[0]) => {
      for (let at = 0; at < bytes.length; at += 2)
        await new Promise<void>((written) => take(bytes.subarray(at, at + 2), written))
      if (error !== undefined) throw error
    },
    discard: async () => void body.discarded++,
  }
  return body
}

const whole = (bytes: Buffer, error?: unknown, headers = {}): Blob => ({
  status: 200,
  headers: { 'content-length': String(content.length), etag: '"a"', ...headers },
  body: bodyOf(bytes, error),
})

const part = (first: number, last: number, bytes: Buffer, error?: unknown, headers = {}): Blob => ({
  status: 206,
  headers: {
    'content-length': String(last - first + 1),
    'content-range': `bytes ${first}-${last}/${content.length}`,
    etag: '"a"',
    ...headers,
  },
  body: bodyOf(bytes, error),
})

/** Upstream's answers in order, and the requests that it got. */
const scripted = (answers: readonly (Blob | Error)[], options: Partial<ResumeOptions> = {}) => {
  const ranges: (string | undefined)[] = []
  const outcomes: string[] = []
  const rest = [...answers]
  const open = createResume({
    open: async ({ range }) => {
      ranges.push(range)
      const answer = rest.shift()
      if (answer === undefined || answer instanceof Error) throw answer ?? transientError
      return answer
    },
    sizeOf: () => undefined,
    observe: (outcome) => void outcomes.push(outcome),
    random: () => 0,
    ...options,
  })
  const get = async (more: Partial<BlobRequest> = {}) => {
    const { body } = await open(request(more))
    if (body === undefined) throw new Error('no body')
    return body
  }
  return { open, get, ranges, outcomes }
}

await t.test('a blob that does not break is requested once', async (test) => {
  const { get, ranges, outcomes } = scripted([whole(content)])
  test.strictSame(await bytesOf(await get()), content)
  test.strictSame([ranges, outcomes], [[undefined], []])
})

await t.test('a blob is resumed at the very next byte, as often as it breaks', async (test) => {
  const { get, ranges, outcomes } = scripted([
    whole(content.subarray(0, 4), transientError),
    part(4, 9, content.subarray(4, 6), transientError),
    part(6, 9, content.subarray(6)),
  ])
  test.strictSame(await bytesOf(await get()), content)
  test.strictSame(ranges, [undefined, 'bytes=4-9', 'bytes=6-9'])
  test.strictSame(outcomes, ['resumed', 'resumed'])
})

await t.test('a clean end that comes too early is a break, too', async (test) => {
  const { get, ranges } = scripted([whole(content.subarray(0, 4)), part(4, 9, content.subarray(4))])
  test.strictSame(await bytesOf(await get()), content)
  test.strictSame(ranges, [undefined, 'bytes=4-9'])
})

await t.test('a break after the last byte does not count', async (test) => {
  const { get, ranges } = scripted([whole(content, transientError)])
  test.strictSame(await bytesOf(await get()), content)
  test.equal(ranges.length, 1)
})

await t.test('a range of the client is resumed within the range', async (test) => {
  const { get, ranges } = scripted([
    part(2, 7, content.subarray(2, 4), transientError),
    part(4, 7, content.subarray(4, 8)),
  ])
  test.strictSame(await bytesOf(await get({ range: 'bytes=2-7' })), content.subarray(2, 8))
  test.strictSame(ranges, ['bytes=2-7', 'bytes=4-7'])
})

await t.test('if no byte was delivered, the same request is sent again', async (test) => {
  for (const range of [undefined, 'bytes=-10']) {
    const blob = range === undefined ? whole : (bytes: Buffer, error?: Error) => part(0, 9, bytes, error)
    const { get, ranges } = scripted([blob(Buffer.alloc(0), transientError), blob(content)])
    test.strictSame(await bytesOf(await get({ range })), content)
    test.strictSame(ranges, [range, range])
  }
})

await t.test(
  'for a chunked body that breaks before the first byte, the same request is sent again',
  async (test) => {
    const chunked = (bytes: Buffer, error?: unknown): Blob => ({
      status: 200,
      headers: {},
      body: bodyOf(bytes, error),
    })
    const { get, ranges } = scripted([chunked(Buffer.alloc(0), transientError), chunked(content)], {
      sizeOf: () => content.length,
    })
    test.strictSame(await bytesOf(await get()), content)
    test.strictSame(ranges, [undefined, undefined])
  },
)

await t.test('attack: bytes of another blob are never appended', async (test) => {
  const rest = content.subarray(4)
  const wrong: Blob[] = [
    part(4, 9, rest, undefined, { etag: '"b"' }),
    part(4, 9, rest, undefined, { 'content-range': 'bytes 4-9/11' }),
    part(4, 9, rest, undefined, { 'content-range': 'bytes 3-8/10' }),
    part(4, 9, rest, undefined, { 'content-length': '5' }),
    part(4, 9, rest, undefined, { 'content-range': 'bytes 4-9/*' }),
    part(4, 9, rest, undefined, { 'content-range': 'bytes 9-4/10' }),
    part(4, 9, rest, undefined, { 'content-range': 'bytes 4-10/10' }),
    part(4, 8, rest.subarray(0, 5)),
    whole(content),
  ]
  for (const blob of wrong) {
    const { get, ranges, outcomes } = scripted([whole(content.subarray(0, 4), transientError), blob])
    const received: Buffer[] = []
    const error = await failure(
      (await get()).pipeTo((chunk, written) => {
        received.push(chunk)
        written()
      }),
    )
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.message, /does not go on/)
    test.strictSame(Buffer.concat(received), content.subarray(0, 4), 'not a byte of it')
    test.equal((blob.body as ReturnType<typeof bodyOf>).discarded, 1, 'and its connection is let go')
    test.strictSame([ranges.length, outcomes], [2, ['given up']])
  }
})

await t.test('without an ETag the numbers of the range are compared', async (test) => {
  const { 'content-length': length = '' } = whole(content).headers
  const first: Blob = {
    status: 200,
    headers: { 'content-length': length },
    body: bodyOf(content.subarray(0, 4), transientError),
  }
  const { get } = scripted([first, part(4, 9, content.subarray(4))])
  test.strictSame(await bytesOf(await get()), content)
})

await t.test('attack: more bytes than announced are an error', async (test) => {
  const long = Buffer.concat([content, content])
  const { get, ranges } = scripted([whole(long)])
  const error = await failure(bytesOf(await get()))
  test.match(error.message, /more of a blob than it announced/)
  test.equal(ranges.length, 1)
})

await t.test('a transient error of the resume is retried, a refusal is not', async (test) => {
  const first = () => whole(content.subarray(0, 4), transientError)
  const again = scripted([first(), transientError, transientError, part(4, 9, content.subarray(4))])
  test.strictSame(await bytesOf(await again.get()), content)
  test.equal(again.ranges.length, 4)
  const full = scripted([first(), new PoolExhausted(), part(4, 9, content.subarray(4))])
  test.strictSame(await bytesOf(await full.get()), content)
  test.strictSame([full.ranges.length, full.outcomes], [3, ['resumed']])
  const gone = scripted([first(), new RegistryError('BLOB_UNKNOWN', 'pruned')])
  test.equal(told(await failure(bytesOf(await gone.get()))), '404 BLOB_UNKNOWN')
  test.equal(gone.ranges.length, 2)
})

await t.test('an error that is not transient ends the stream', async (test) => {
  const { get, ranges } = scripted([whole(content.subarray(0, 4), new RegistryError('DENIED', 'no'))])
  test.equal(told(await failure(bytesOf(await get()))), '403 DENIED')
  test.equal(ranges.length, 1)
})

await t.test('a stream without progress is given up', async (test) => {
  let time = 0
  const { get, ranges, outcomes } = scripted([whole(content.subarray(0, 4), transientError)], {
    maxWaitMs: 10_000,
    now: () => (time += 2500),
  })
  test.equal(told(await failure(bytesOf(await get()))), '503 UNAVAILABLE')
  test.ok(ranges.length > 2 && ranges.length < 6, String(ranges.length))
  test.strictSame(outcomes, ['given up'])
})

await t.test('attack: a byte at a time is no progress; half a megabyte is', async (test) => {
  const drip = async (pieceBytes: number): Promise<{ received: number; asked: number }> => {
    const total = 8 * 1024 * 1024
    let time = 0
    let asked = 0
    const open: OpenBlob = async ({ range = 'bytes=0-' }) => {
      asked++
      time += 4000
      const start = Number(/\d+/.exec(range)?.[0])
      const length = { 'content-length': String(total - start) }
      const body: Body = {
        pipeTo: async (take) => {
          await new Promise<void>((written) => take(Buffer.alloc(pieceBytes), written))
          throw transientError
        },
        discard: async () => undefined,
      }
      return start === 0
        ? { status: 200, headers: length, body }
        : {
            status: 206,
            headers: { ...length, 'content-range': `bytes ${start}-${total - 1}/${total}` },
            body,
          }
    }
    const resumed = createResume({
      open,
      sizeOf: () => undefined,
      observe: () => undefined,
      random: () => 0,
      maxWaitMs: 10_000,
      now: () => time,
    })
    const { body } = await resumed(request())
    let received = 0
    await body
      ?.pipeTo((chunk, written) => {
        received += chunk.length
        written()
      })
      .catch(() => undefined)
    return { received, asked }
  }
  test.ok((await drip(1)).asked < 10)
  test.equal((await drip(512 * 1024)).received, 8 * 1024 * 1024)
})

await t.test('an error of the sink is not an error of upstream', async (test) => {
  const { get, ranges } = scripted([whole(content)])
  const body = await get()
  await test.rejects(
    body.pipeTo(() => {
      throw transientError
    }),
    transientError,
  )
  test.equal(ranges.length, 1)
})

await t.test('no resume is tried after the caller left', async (test) => {
  const controller = new AbortController()
  const { get, ranges } = scripted([whole(content.subarray(0, 4), transientError)])
  const body = await get({ signal: controller.signal })
  const failed = failure(bytesOf(body))
  setImmediate(() => controller.abort())
  test.equal(told(await failed), '503 UNAVAILABLE')
  test.equal(ranges.length, 1)
})

await t.test('a response that cannot be resumed is passed on unchanged', async (test) => {
  const head: Blob = { status: 200, headers: { 'content-length': '10' }, body: undefined }
  const chunked: Blob = { status: 200, headers: {}, body: bodyOf(content) }
  const many: Blob = { status: 206, headers: { 'content-length': '10' }, body: bodyOf(content) }
  for (const blob of [head, chunked, many]) test.equal(await scripted([blob]).open(request()), blob)
  const original = bodyOf(content)
  const { get } = scripted([{ ...whole(content), body: original }])
  const body = await get()
  await body.discard()
  test.equal(original.discarded, 1, 'and let go of as it is')
})

/** A quay with a blob of more than 300 kB. */
const stored = async (test: Test) => {
  const quay = await quayFor(test)
  const image = await smallImage({ platforms: ['linux/amd64'], layerBytes: 300_000 })
  quay.push(image)
  const [name, bytes] = [...image.blobs].reduce((most, blob) =>
    blob[1].length > most[1].length ? blob : most,
  )
  const outcomes: string[] = []
  const open = createResume({
    open: createBlobs({
      send: connect(test, quay, { timeouts: { body: 30 } }).send,
      repository: 'openshift/ci',
      delivery: 'stream',
    }),
    sizeOf: () => undefined,
    observe: (outcome) => void outcomes.push(outcome),
    random: () => 0,
  })
  const get = async (more: Partial<BlobRequest> = {}) =>
    (await open(request({ digest: name as string as Digest, ...more }))).body as Body
  return { quay, bytes, get, outcomes }
}

await t.test('over sockets: every kind of break, each with a new signed URL', async (test) => {
  const breaks: (Partial<FaultRule> & { count: number })[] = [
    { cutAfterBytes: 0, count: 2 },
    { cutAfterBytes: 1, count: 2 },
    { cutAfterBytes: 100_000, count: 2 },
    { cutAfterBytes: 299_999, count: 1 },
    { stallAfterBytes: 70_000, count: 2 },
  ]
  for (const fault of breaks) {
    const { quay, bytes, get, outcomes } = await stored(test)
    quay.fault({ origin: 'cdn', path: /./, ...fault })
    test.strictSame(await bytesOf(await get()), bytes, JSON.stringify(fault))
    test.strictSame(outcomes, Array<string>(fault.count).fill('resumed'))
    const signed = quay.requests.filter(({ origin, url }) => origin === 'quay' && url.includes('/blobs/'))
    test.equal(signed.length, 1 + fault.count)
    test.strictSame(quay.leaks, [])
  }
})

await t.test("the client's own If-Range is not sent again with the rest", async (test) => {
  const { quay, bytes, get } = await stored(test)
  quay.fault({ origin: 'cdn', path: /./, cutAfterBytes: 100_000 })
  test.strictSame(await bytesOf(await get({ range: 'bytes=7-', ifRange: '"another"' })), bytes)
})

await t.test('a chunked blob is resumed, too, if a manifest states its size', async (test) => {
  const chunked = (bytes: Buffer): Blob => ({ status: 200, headers: { etag: '"a"' }, body: bodyOf(bytes) })
  const { headers } = part(4, 9, content)
  const rest: Blob = {
    status: 206,
    headers: { 'content-range': headers['content-range'] ?? '' },
    body: bodyOf(content.subarray(4)),
  }
  const { get, ranges } = scripted([chunked(content.subarray(0, 4)), rest], { sizeOf: () => 10 })
  test.strictSame(await bytesOf(await get()), content)
  test.strictSame(ranges, [undefined, 'bytes=4-9'])
})

await t.test(
  'a length that contradicts the manifest is requested again, and counts the second time',
  async (test) => {
    const wrong = () => whole(content.subarray(0, 4), undefined, { 'content-length': '4' })
    const first = wrong()
    const right = scripted([first, whole(content)], { sizeOf: () => 10 })
    test.strictSame(await bytesOf(await right.get()), content)
    test.equal((first.body as ReturnType<typeof bodyOf>).discarded, 1)
    const twice = scripted([wrong(), wrong()], { sizeOf: () => 10 })
    test.strictSame(await bytesOf(await twice.get()), content.subarray(0, 4))
    test.equal(twice.ranges.length, 2)
  },
)

await t.test('trap 21: HEAD has the length of the GET, or none', async (test) => {
  const of = (length: number | undefined, status: Blob['status'] = 200): Blob => ({
    status,
    headers: { etag: '"a"', ...(length === undefined ? {} : { 'content-length': String(length) }) },
    body: status === 200 ? bodyOf(content) : undefined,
  })
  const redirect: Blob = { status: 307, headers: { location: 'a', 'content-length': '0' }, body: undefined }
  const unknown = undefined
  const rows: [string, Blob, number | undefined, Blob | undefined, number | undefined][] = [
    // what HEAD says, a manifest, GET where it is asked; what is passed on
    ['as the manifest says', of(10), 10, undefined, 10],
    ['confirmed by GET', of(10), unknown, of(10), 10],
    ['not what GET says', of(5), unknown, of(10), 10],
    ['not what the manifest says', of(5), 10, of(10), 10],
    ['the manifest is wrong: the other two say it twice', of(10), 5, of(10), 10],
    ['three opinions', of(5), 7, of(10), 10],
    ['in chunks', of(unknown), unknown, of(10), 10],
    ['both in chunks', of(unknown), 10, of(unknown), 10],
    ['both in chunks, and no manifest', of(unknown), unknown, of(unknown), unknown],
    ['GET in chunks', of(5), unknown, of(unknown), unknown],
    ['GET is for the client', of(10), unknown, redirect, 10],
    ['GET is for the client, and HEAD is wrong', of(5), 10, redirect, 10],
    ['GET is for the client, and HEAD says nothing', of(unknown), unknown, redirect, unknown],
    ['a redirect', redirect, unknown, undefined, 0],
  ]
  for (const [name, head, size, whole, expected] of rows) {
    const methods: string[] = []
    const open = createResume({
      open: async ({ method }) => {
        methods.push(method)
        return method === 'HEAD' ? { ...head, body: undefined } : (whole ?? Promise.reject(transientError))
      },
      sizeOf: () => size,
      observe: () => undefined,
    })
    const blob = await open(request({ method: 'HEAD' }))
    test.equal(blob.headers['content-length'], expected === undefined ? undefined : String(expected), name)
    test.equal(blob.status, head.status)
    test.equal(blob.body, undefined)
    test.strictSame(methods, whole === undefined ? ['HEAD'] : ['HEAD', 'GET'], name)
    if (whole?.body !== undefined) test.match(whole.body, { discarded: 1 }, 'and its content is not read')
  }
})
