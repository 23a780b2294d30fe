import t from 'tap'
import type { Body } from '../../../src/oci/image-source.ts'
import type { RangeSpec, Stretch } from '../../../src/upstream/cache/requested-ranges.ts'
import { openRanges } from '../../../src/upstream/cache/s3-ranges.ts'
import { bytesOf } from '../../storage/fixtures.ts'
import { allOf, requestFor } from './scripted-upstream.ts'

const content = bytesOf(1000)
const { digest } = requestFor(content)

const setUp = (missing: readonly number[] = []) => {
  const told: string[] = []
  const bodyOf = (from: string, { start, end }: Stretch): Body => ({
    pipeTo: async (sink) => {
      told.push(`${from} ${start}-${end}`)
      sink(content.subarray(start, end), () => undefined)
      await Promise.resolve()
    },
    discard: async () => void told.push('discarded'),
  })
  const open = async (specs: readonly RangeSpec[]) =>
    await openRanges({
      digest,
      size: content.length,
      specs,
      openPart: async (part) =>
        await Promise.resolve(missing.includes(part.start) ? undefined : bodyOf('S3', part)),
      openRest: async (part) => await Promise.resolve(bodyOf('upstream', part)),
    })
  return { told, open }
}

const two = [
  { first: 5, last: 9 },
  { first: 990, last: undefined },
]

await t.test('each part by itself, from S3 or else from upstream', async (test) => {
  for (const [missing, second] of [
    [[], 'S3'],
    [[990], 'upstream'],
  ] as const) {
    const { told, open } = setUp(missing)
    const blob = await open(two)
    test.equal(blob?.status, 206)
    const bytes = await allOf(blob!)
    test.equal(`${bytes.length}`, blob?.headers['content-length'])
    test.ok(bytes.includes(content.subarray(5, 10)))
    test.ok(bytes.includes(content.subarray(990)))
    test.strictSame(told, ['S3 5-10', `${second} 990-1000`])
  }
})

await t.test('requests that upstream answers', async (test) => {
  test.equal(await setUp([5]).open(two), undefined, 'S3 does not have it')
  const { open, told } = setUp()
  const one = { first: 0, last: 0 }
  test.equal(await open([one, { first: 1000, last: undefined }]), undefined, 'one of them lies outside')
  test.equal(await open(Array.from({ length: 17 }, () => one)), undefined, 'too many')
  test.equal(await open([one, { first: 0, last: undefined }]), undefined, 'more than the whole blob')
  test.strictSame(told, [])
  await (await open(two))?.body?.discard()
  test.strictSame(told, ['discarded'])
})
