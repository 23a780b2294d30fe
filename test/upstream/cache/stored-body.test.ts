import { createHash } from 'node:crypto'
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { heldBackBytes } from '../../../src/storage/fill.ts'
import { WrongContent } from '../../../src/storage/fill-outcome.ts'
import { ReadBuffers } from '../../../src/storage/read-buffers.ts'
import {
  createStoredBody,
  type StoredBodyOptions,
  type StoredSource,
} from '../../../src/upstream/cache/stored-body.ts'
import { TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { bytesOf } from '../../storage/fixtures.ts'
import { failure, told } from '../upstream.ts'
import { allOf, reading, requestFor, scriptedUpstream, type ScriptedUpstream } from './scripted-upstream.ts'

const content = bytesOf(200_000)

/** Has the bytes up to an offset, and throws there. */
const sourceUpTo = (end: number, error: Error = new Error('EIO')): StoredSource => ({
  prefix: (at) => ({ at, hash: createHash('sha256').update(content.subarray(0, at)) }),
  read: async (into, position) => {
    if (position >= end) throw error
    return content.copy(into, 0, position, Math.min(end, position + into.length))
  },
})

const bodyFor = (
  source: StoredSource,
  upstream: ScriptedUpstream,
  options: Partial<StoredBodyOptions> = {},
) => {
  const ends: number[] = []
  const body = createStoredBody({
    request: requestFor(content),
    source,
    buffers: new ReadBuffers(),
    size: content.length,
    headers: { 'content-length': `${content.length}` },
    parts: [{ start: 0, end: content.length }],
    open: upstream.open,
    again: undefined,
    onEnd: (bytes) => void ends.push(bytes),
    ...options,
  })
  return { ends, all: async () => await allOf({ status: 200, headers: {}, body }), body }
}

await t.test('parts in their order, with the text between them', async (test) => {
  const { all, ends } = bodyFor(sourceUpTo(Infinity), scriptedUpstream(content), {
    parts: [Buffer.from('<'), { start: 5, end: 7 }, Buffer.from('|'), { start: 1, end: 2 }],
  })
  test.ok(
    (await all()).equals(
      Buffer.concat([Buffer.from('<'), content.subarray(5, 7), Buffer.from('|'), content.subarray(1, 2)]),
    ),
  )
  test.strictSame(ends, [3])
})

await t.test('the rest comes from upstream: of the whole, of a part, of the second part', async (test) => {
  const rows: [number, StoredBodyOptions['parts'], string][] = [
    [0, [{ start: 0, end: 200_000 }], 'GET'],
    [70_000, [{ start: 0, end: 200_000 }], 'GET bytes=70000-199999'],
    [150, [{ start: 100, end: 180 }], 'GET bytes=150-179'],
    [
      150,
      [
        { start: 0, end: 50 },
        { start: 120, end: 180 },
      ],
      'GET bytes=150-179',
    ],
  ]
  for (const [at, parts, asked] of rows) {
    const upstream = scriptedUpstream(content)
    const { all } = bodyFor(sourceUpTo(at), upstream, { parts })
    const expected = parts.map((part) =>
      Buffer.isBuffer(part) ? part : content.subarray(part.start, part.end),
    )
    test.ok((await all()).equals(Buffer.concat(expected)), asked)
    test.strictSame(upstream.requests, [asked])
  }
})

await t.test(
  'upstream that fails for a moment is asked again, for as long as a client waits',
  async (test) => {
    const trouble = new TransientUpstreamError('UNAVAILABLE', 'busy')
    const upstream = scriptedUpstream(content)
    upstream.scripts.push({ error: trouble }, { error: trouble })
    test.ok((await bodyFor(sourceUpTo(10), upstream).all()).equals(content))
    test.equal(upstream.requests.length, 3)
    let time = 0
    const busy = scriptedUpstream(content)
    for (let index = 0; index < 5; index++) busy.scripts.push({ error: trouble })
    const late = bodyFor(sourceUpTo(10), busy, { now: () => (time += 16_000) })
    test.equal(await failure(late.all()), trouble)
    test.equal(busy.requests.length, 2)
    const gone = scriptedUpstream(content)
    gone.scripts.push({ error: new RegistryError('BLOB_UNKNOWN', 'pruned') })
    test.equal((await failure(bodyFor(sourceUpTo(10), gone).all())).code, 'BLOB_UNKNOWN')
  },
)

await t.test('attack: another blob, or another place of it, is not sewn to the first half', async (test) => {
  const upstream = scriptedUpstream(content)
  upstream.scripts.push({ content: bytesOf(150_000) })
  const { all } = bodyFor(sourceUpTo(10), upstream)
  test.equal(told(await failure(all())), '503 UNAVAILABLE 5')
  test.equal(upstream.unread(), 0, 'and it is let go of')
  const redirect = { status: 307, headers: {}, body: undefined } as const
  const other = bodyFor(sourceUpTo(10), scriptedUpstream(), {
    open: async () => await Promise.resolve(redirect),
  })
  test.equal(told(await failure(other.all())), '503 UNAVAILABLE 5')
})

await t.test(
  'wrong bytes: once more while the client has none of them, and else an end without the last',
  async (test) => {
    const wrong = new WrongContent('wrong')
    let repeated = 0
    const again = async () => {
      repeated += 1
      return await scriptedUpstream(content).open(requestFor(content))
    }
    test.ok((await bodyFor(sourceUpTo(0, wrong), scriptedUpstream(), { again }).all()).equals(content))
    test.equal(repeated, 1)
    for (const { all } of [
      bodyFor(sourceUpTo(10, wrong), scriptedUpstream(content), { again }),
      bodyFor(sourceUpTo(0, wrong), scriptedUpstream(content)),
    ])
      test.equal(told(await failure(all())), '503 UNAVAILABLE 5')
    test.equal(repeated, 1)
  },
)

await t.test(
  'attack: the rest comes from upstream with wrong bytes: the last ones are held back',
  async (test) => {
    const wrong = Buffer.from(content)
    wrong[190_000] = 255
    for (const at of [0, 70_000]) {
      const upstream = scriptedUpstream(content)
      upstream.scripts.push({ content: wrong })
      const { body } = bodyFor(sourceUpTo(at), upstream, {
        again: async () => await scriptedUpstream(content).open(requestFor(content)),
      })
      const client = reading({ status: 200, headers: {}, body })
      test.equal(told(await failure(client.done)), '503 UNAVAILABLE 5')
      test.equal(client.bytes().length, content.length - heldBackBytes, `from ${at}`)
    }
    const small = bytesOf(9000)
    const upstream = scriptedUpstream(small)
    upstream.scripts.push({ content: Buffer.alloc(9000) })
    const { all } = bodyFor(sourceUpTo(0), upstream, {
      request: requestFor(small),
      size: small.length,
      headers: { 'content-length': `${small.length}` },
      parts: [{ start: 0, end: small.length }],
      again: async () => await upstream.open(requestFor(small)),
    })
    test.ok((await all()).equals(small), 'a client that has none of them gets the right ones')
    let repeats = 0
    const framed = bodyFor(sourceUpTo(0, new WrongContent('wrong')), scriptedUpstream(content), {
      parts: [Buffer.from('--boundary'), { start: 0, end: 5 }],
      again: async () => {
        repeats += 1
        return await scriptedUpstream(content).open(requestFor(content))
      },
    })
    test.equal(told(await failure(framed.all())), '503 UNAVAILABLE 5', 'a second answer has another boundary')
    test.equal(repeats, 0)
  },
)

await t.test('attack: the store has other bytes than upstream: they are not sewn together', async (test) => {
  // The fill got other bytes than the ones that are fetched now, and these are right.
  const hashed = { at: 0, hash: createHash('sha256') }
  const source: StoredSource = {
    ...sourceUpTo(70_000),
    prefix: () => ({ ...hashed, check: { until: 80_000, hex: 'of other bytes' } }),
  }
  const upstream = scriptedUpstream(content)
  const { body } = bodyFor(source, upstream)
  const client = reading({ status: 200, headers: {}, body })
  test.equal(told(await failure(client.done)), '503 UNAVAILABLE 5')
  test.ok(client.bytes().length < 100_000)
  test.strictSame(upstream.requests, ['GET'], 'fetched from where the hash is known')
})

await t.test('a client that leaves, or cannot take it, is no failure of the store', async (test) => {
  const upstream = scriptedUpstream(content)
  const gone = new AbortController()
  const request = requestFor(content, { signal: gone.signal })
  const waiting = { ...sourceUpTo(0), read: async () => await new Promise<never>(() => undefined) }
  const left = bodyFor(waiting, upstream, { request })
  const failed = failure(left.all())
  setImmediate(() => gone.abort())
  test.equal((await failed).code, 'UNAVAILABLE')
  const { body, ends } = bodyFor(sourceUpTo(Infinity), upstream)
  const thrown = body.pipeTo(() => {
    throw new Error('closed')
  })
  await test.rejects(thrown, { message: 'closed' })
  test.strictSame(ends, [0])
  const trouble = new TransientUpstreamError('UNAVAILABLE', 'busy')
  upstream.scripts.push({ error: trouble })
  const later = new AbortController()
  const both = bodyFor(sourceUpTo(10), upstream, { request: requestFor(content, { signal: later.signal }) })
  const outcome = failure(both.all())
  while (upstream.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setTimeout(resolve, 20))
  later.abort()
  await outcome
  test.equal(upstream.requests.length, 1)
})

await t.test('a discarded body ends once', async (test) => {
  const { body, ends } = bodyFor(sourceUpTo(Infinity), scriptedUpstream(content))
  await body.discard()
  await body.discard()
  test.strictSame(ends, [0])
})
