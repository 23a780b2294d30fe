import { createHash } from 'node:crypto'
import t from 'tap'
import type { Body, Sink } from '../../../src/oci/image-source.ts'
import { heldBackBytes } from '../../../src/storage/fill.ts'
import { WrongContent } from '../../../src/storage/fill-outcome.ts'
import { createVerifiedBody, repeated, repeatingWrong } from '../../../src/upstream/cache/verified-body.ts'
import { bytesOf, digestOf } from '../../storage/fixtures.ts'

/** Hands over chunks whose memory is used again. */
const bodyOf = (content: Buffer, chunkBytes = 10_000) => {
  const seen = { isDiscarded: false }
  const body: Body = {
    pipeTo: async (sink: Sink) => {
      for (let at = 0; at < content.length; at += chunkBytes) {
        const chunk = Buffer.from(content.subarray(at, at + chunkBytes))
        await new Promise<void>((release) => sink(chunk, release))
        chunk.fill(0xee)
      }
    },
    discard: async () => void (seen.isDiscarded = true),
  }
  return { body, seen }
}

const readAll = async (body: Body) => {
  const chunks: Buffer[] = []
  const error: unknown = await body
    .pipeTo((chunk, release) => {
      chunks.push(Buffer.from(chunk))
      release()
    })
    .catch((thrown: unknown) => thrown)
  return { bytes: Buffer.concat(chunks), error }
}

await t.test('right bytes come whole, whatever their number', async (test) => {
  for (const size of [1, heldBackBytes, heldBackBytes + 1, 100_000]) {
    const content = bytesOf(size)
    const { body } = bodyOf(content)
    const { bytes, error } = await readAll(createVerifiedBody({ body, digest: digestOf(content), size }))
    test.equal(error, undefined)
    test.ok(bytes.equals(content), `${size}`)
  }
})

await t.test('attack: the last bytes of wrong ones are held back', async (test) => {
  const content = bytesOf(100_000)
  const { body } = bodyOf(content)
  const digest = digestOf(Buffer.from('other'))
  const { bytes, error } = await readAll(createVerifiedBody({ body, digest, size: content.length }))
  test.match(error, { name: 'WrongContent' })
  test.equal(bytes.length, content.length - heldBackBytes)
})

await t.test('the rest of a blob, of which the client has the first bytes', async (test) => {
  const content = bytesOf(100_000)
  const digest = digestOf(content)
  const hashed = (at: number) => createHash('sha256').update(content.subarray(0, at))
  for (const [at, start, until] of [
    [0, 0, undefined],
    [0, 30_000, 40_000],
    [20_000, 20_000, undefined],
    [20_000, 35_000, 36_000],
    [20_000, 99_000, 100_000],
  ] as const) {
    const { body } = bodyOf(content.subarray(at))
    const check = until && { until, hex: hashed(until).digest('hex') }
    const prefix = { at, hash: hashed(at), check }
    const rest = createVerifiedBody({ body, digest, size: content.length, prefix, start })
    const { bytes, error } = await readAll(rest)
    test.equal(error, undefined)
    test.ok(bytes.equals(content.subarray(start)), `${at} ${start}`)
  }
})

await t.test('attack: the client has other bytes than those that upstream sends now', async (test) => {
  const content = bytesOf(100_000)
  for (const until of [40_000, 100_000, 100_001]) {
    const { body } = bodyOf(content)
    const prefix = { at: 0, hash: createHash('sha256'), check: { until, hex: 'another' } }
    const { bytes, error } = await readAll(
      createVerifiedBody({ body, digest: digestOf(content), size: content.length, prefix, start: 30_000 }),
    )
    test.match(error, { name: 'WrongContent' })
    test.ok(bytes.length <= content.length - 30_000 - heldBackBytes)
  }
})

await t.test('a body of unknown length: its last chunk is held back', async (test) => {
  const content = bytesOf(100_000)
  for (const [digest, length] of [
    [digestOf(content), 100_000],
    [digestOf(Buffer.from('other')), 90_000],
  ] as const) {
    const { body } = bodyOf(content)
    const chunks: Body = {
      ...body,
      pipeTo: async (sink) => {
        await body.pipeTo(sink)
        sink(Buffer.alloc(0), () => undefined)
      },
    }
    const { bytes, error } = await readAll(createVerifiedBody({ body: chunks, digest, size: undefined }))
    test.equal(error === undefined, length === content.length)
    test.ok(bytes.equals(content.subarray(0, length)))
  }
  const empty = createVerifiedBody({
    body: bodyOf(Buffer.alloc(0)).body,
    digest: digestOf(Buffer.alloc(0)),
    size: undefined,
  })
  test.strictSame(await readAll(empty), { bytes: Buffer.alloc(0), error: undefined })
})

await t.test('wrong bytes are requested once more, if the client has none of them', async (test) => {
  const [content, wrong] = [bytesOf(10_000), bytesOf(50_000)]
  const digest = digestOf(content)
  const headers = { 'content-length': '10000' }
  let count = 0
  const again = async () => {
    count += 1
    return await Promise.resolve({ status: 200, headers, body: bodyOf(content).body } as const)
  }
  const bodyFor = (bytes: Buffer) =>
    createVerifiedBody({ body: bodyOf(bytes).body, digest, size: bytes.length })
  test.ok((await readAll(repeatingWrong(bodyFor(content), headers, again))).bytes.equals(content))
  test.equal(count, 0)
  test.ok(
    (await readAll(repeatingWrong(bodyFor(Buffer.alloc(10_000)), headers, again))).bytes.equals(content),
  )
  test.equal(count, 1)
  for (const body of [
    repeatingWrong(bodyFor(wrong), headers, again),
    repeatingWrong(bodyFor(Buffer.alloc(1)), headers, undefined),
  ])
    test.match((await readAll(body)).error, { code: 'UNAVAILABLE' })
  test.equal(count, 1)
  const broken: Body = {
    pipeTo: async () => await Promise.reject(new Error('cut')),
    discard: async () => undefined,
  }
  test.match((await readAll(repeatingWrong(broken, headers, again))).error, { message: 'cut' })
  await repeatingWrong(broken, headers, again).discard()
})

await t.test('attack: a second answer of another length would be whole too early', async (test) => {
  const wrong = new WrongContent('wrong')
  const headers = { 'content-length': '77', 'content-range': 'bytes 0-76/77' }
  for (const [second, isTaken] of [
    [headers, true],
    [{ ...headers, 'content-length': '10000' }, false],
    [{ ...headers, 'content-range': 'bytes 0-76/99' }, false],
    [{}, false],
  ] as const) {
    const { body, seen } = bodyOf(bytesOf(77))
    const again = async () => await Promise.resolve({ status: 206, headers: second, body } as const)
    const taken = await repeated(again, headers, wrong).catch((error: unknown) => error)
    test.equal(taken === body, isTaken)
    test.equal(seen.isDiscarded, !isTaken)
    if (!isTaken) test.match(taken, { code: 'UNAVAILABLE' })
  }
  const redirect = async () => await Promise.resolve({ status: 307, headers, body: undefined } as const)
  await test.rejects(repeated(redirect, headers, wrong), { code: 'UNAVAILABLE' })
})

await t.test('a body that nobody wants', async (test) => {
  const { body, seen } = bodyOf(bytesOf(10))
  await createVerifiedBody({ body, digest: 'sha256:0', size: 10 }).discard()
  test.ok(seen.isDiscarded)
})
