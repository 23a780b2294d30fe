import t from 'tap'
import type { Test } from 'tap'
import { allPlatforms, buildArtifact, buildImage } from '../../../src/sandbox/quay/images.ts'
import type { Content } from '../../../src/sandbox/quay/images.ts'
import { digestOf } from '../../../src/sandbox/quay/layers.ts'
import { smallImage } from './quay-client.ts'

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly platform?: { readonly os: string; readonly architecture: string }
}

interface Document {
  readonly schemaVersion: number
  readonly mediaType: string
  readonly manifests?: readonly Descriptor[]
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly subject?: Descriptor
  readonly rootfs?: { readonly diff_ids: readonly string[] }
  readonly history?: readonly object[]
}

function parse(bytes: Buffer | undefined): Document {
  return JSON.parse(String(bytes)) as Document
}

/** Every descriptor names bytes that are there, with their size. */
function assertWhole(test: Test, content: Content): void {
  const stored = new Map<string, Buffer>(content.blobs)
  for (const manifest of content.manifests) stored.set(manifest.digest, manifest.body)
  for (const [digest, body] of stored) test.equal(digestOf(body), digest)
  for (const { body, mediaType } of content.manifests) {
    const document = parse(body)
    test.match(document, { schemaVersion: 2, mediaType })
    const named = document.manifests ?? [document.config, ...document.layers]
    for (const { digest, size } of named) test.equal(stored.get(digest)?.length, size)
  }
}

await t.test('an image for several platforms is an index', async (test) => {
  const formats = [
    ['oci', 'application/vnd.oci.image.index.v1+json'],
    ['docker', 'application/vnd.docker.distribution.manifest.list.v2+json'],
  ] as const
  for (const [format, mediaType] of formats) {
    const image = await smallImage({ format })
    assertWhole(test, image)
    test.equal(image.mediaType, mediaType)
    test.equal(image.manifests.length, 5)
    const children = parse(image.body).manifests ?? []
    test.strictSame(
      children.map(({ digest, platform }) => [`${platform?.os}/${platform?.architecture}`, digest]),
      [...image.platforms],
    )
    test.strictSame([...image.platforms.keys()], allPlatforms)
  }
})

await t.test(
  'an image for one platform is a plain manifest, with as many layers as asked for',
  async (test) => {
    const image = await smallImage({ platforms: ['linux/s390x'], layers: 20, layerBytes: 10 })
    assertWhole(test, image)
    test.equal(image.mediaType, 'application/vnd.oci.image.manifest.v1+json')
    const { config, layers } = parse(image.body)
    test.equal(new Set(layers.map(({ digest }) => digest)).size, 20)
    const { rootfs, ...rest } = parse(image.blobs.get(config.digest as `sha256:${string}`))
    test.strictSame(
      rootfs?.diff_ids,
      image.layers.get('linux/s390x')?.map(({ diffId }) => diffId),
    )
    test.equal(rest.history?.length, 20)
    test.match(rest, { os: 'linux', architecture: 's390x' })
  },
)

await t.test('the same options give the same digest, another name another', async (test) => {
  const [one, same, other] = await Promise.all([smallImage(), smallImage(), smallImage({ name: 'other' })])
  test.equal(one.digest, same.digest)
  test.not(one.digest, other.digest)
})

await t.test('shared layers lie below', async (test) => {
  const base = await smallImage({ name: 'base' })
  const image = await smallImage({ sharedLayers: base.layers })
  assertWhole(test, image)
  for (const platform of allPlatforms) {
    test.equal(image.layers.get(platform)?.length, 2)
    test.equal(image.layers.get(platform)?.[0], base.layers.get(platform)?.[0])
  }
  const mixed = await smallImage({ sharedLayers: new Map() })
  test.equal(mixed.layers.get('linux/amd64')?.length, 1)
})

await t.test('an image for no platform is refused', async (test) => {
  const nothing = buildImage({ name: 'x', platforms: [], layers: 1, layerBytes: 1, format: 'oci' })
  await test.rejects(nothing, { message: 'an image needs at least one platform' })
})

await t.test('an artifact names its subject', async (test) => {
  const image = await smallImage()
  const options = { subject: image, artifactType: 'application/spdx+json', payload: Buffer.from('{"a":1}') }
  const artifact = buildArtifact({ ...options, annotations: { made: 'here' } })
  assertWhole(test, artifact)
  test.match(parse(artifact.body), {
    artifactType: 'application/spdx+json',
    subject: { digest: image.digest, mediaType: image.mediaType, size: image.body.length },
    annotations: { made: 'here' },
  })
  test.not(buildArtifact(options).digest, artifact.digest)
})
