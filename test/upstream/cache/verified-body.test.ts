import t from 'tap'
import type { Body, Sink } from '../../../src/oci/image-source.ts'
import { heldBackBytes } from '../../../src/storage/fill.ts'
import { createVerifiedBody } from '../../../src/upstream/cache/verified-body.ts'
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

await t.test('a body that nobody wants', async (test) => {
  const { body, seen } = bodyOf(bytesOf(10))
  await createVerifiedBody({ body, digest: 'sha256:0', size: 10 }).discard()
  test.ok(seen.isDiscarded)
})
