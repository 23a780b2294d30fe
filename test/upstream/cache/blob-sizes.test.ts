import t from 'tap'
import { createBlobSizes } from '../../../src/upstream/cache/blob-sizes.ts'
import type { Digest } from '../../../src/oci/reference.ts'
import type { FetchManifest } from '../../../src/oci/image-source.ts'

const of = (letter: string) => `sha256:${letter.repeat(64)}` as Digest

const sizesFor = (max?: number) => {
  const { learning, sizeOf } = createBlobSizes(max)
  const fetch = async (content: unknown): ReturnType<FetchManifest> => {
    const body =
      content === undefined
        ? undefined
        : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
    const manifest = { digest: of('0'), mediaType: 'a/b', size: 1, content: body, isStale: false }
    const fetched = await learning(async () => manifest)({
      method: 'GET',
      reference: of('0'),
      accept: undefined,
      requester: 'alice',
    })
    t.equal(fetched, manifest, 'handed on as it is')
    return fetched
  }
  return { fetch, sizeOf }
}

await t.test('the sizes of config and layers are recorded', async (test) => {
  const { fetch, sizeOf } = sizesFor()
  await fetch({ config: { digest: of('a'), size: 1 }, layers: [{ digest: of('b'), size: 2 }] })
  test.strictSame([sizeOf(of('a')), sizeOf(of('b')), sizeOf(of('c'))], [1, 2, undefined])
  await fetch({ layers: [{ digest: of('b'), size: 2 }] })
  test.equal(sizeOf(of('b')), 2)
})

await t.test('attack: an impossible size is ignored', async (test) => {
  const { fetch, sizeOf } = sizesFor()
  for (const size of [0, -1, 1.5, '2', null]) await fetch({ layers: [{ digest: of('b'), size }] })
  test.equal(sizeOf(of('b')), undefined)
  await fetch({ layers: [{ digest: of('b'), size: 2 }] })
  test.equal(sizeOf(of('b')), 2)
})

await t.test('attack: if two manifests contradict each other, neither size counts', async (test) => {
  const { fetch, sizeOf } = sizesFor()
  for (const size of [2, 3, 2, 2]) await fetch({ layers: [{ digest: of('b'), size }] })
  test.equal(sizeOf(of('b')), undefined)
})

await t.test('content that is not a manifest is ignored', async (test) => {
  const { fetch, sizeOf } = sizesFor()
  const digest = of('b')
  for (const content of [
    undefined,
    'no JSON',
    'null',
    {},
    { config: null, layers: {} },
    { layers: [null, { digest }, { digest: 'b', size: 1 }, { digest, size: '1' }, { size: 1 }] },
  ])
    await fetch(content)
  test.equal(sizeOf(digest), undefined)
})

await t.test('the number of sizes is bounded', async (test) => {
  const { fetch, sizeOf } = sizesFor(2)
  for (const letter of ['a', 'b', 'c']) await fetch({ config: { digest: of(letter), size: 1 } })
  test.strictSame([of('a'), of('b'), of('c')].map(sizeOf), [undefined, 1, 1])
})
