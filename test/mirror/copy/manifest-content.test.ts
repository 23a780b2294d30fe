import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { readManifestContent, requireGzipLayers } from '../../../src/mirror/copy/manifest-content.ts'
import { ociIndex, ociManifest } from '../../support/image-fixtures.ts'

const digest = `sha256:${'0'.repeat(64)}` as Digest
const descriptor = (digit: string, mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip') => ({
  mediaType,
  digest: `sha256:${digit.repeat(64)}`,
  size: 7,
})
const read = (content: unknown, mediaType = 'application/json') =>
  readManifestContent({ bytes: Buffer.from(JSON.stringify(content)), mediaType, digest }, 'quay.io/a/b')

await t.test('an image: its blobs, each once', async (t) => {
  const content = read({
    mediaType: ociManifest,
    config: descriptor('1'),
    layers: [descriptor('2'), descriptor('2'), descriptor('3')],
  })
  t.match(content, { mediaType: ociManifest, children: [], blobs: [{ size: 7 }, {}, {}] })
  t.strictSame(
    content.blobs.map((blob) => blob.digest[7]),
    ['1', '2', '3'],
  )
})

await t.test('Content-Type counts if the manifest has no media type', async (t) => {
  t.equal(read({ manifests: [descriptor('1'), descriptor('1')] }, ociIndex).children.length, 1)
  t.equal(read({ config: descriptor('1') }, ociManifest).blobs.length, 1)
})

await t.test('foreign layers stay where they are', async (t) => {
  const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
  const nondistributable = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'
  const urls = ['https://mcr.microsoft.com/layer']
  const { blobs } = read(
    {
      config: descriptor('1'),
      layers: [
        { ...descriptor('2', foreign), urls },
        { ...descriptor('3', nondistributable), urls },
        { ...descriptor('4', foreign), urls: [] },
        { ...descriptor('5'), urls },
      ],
    },
    ociManifest,
  )
  t.strictSame(
    blobs.map((blob) => blob.digest[7]),
    ['1', '4', '5'],
  )
})

await t.test('schema 1 is refused by its name', async (t) => {
  for (const [content, mediaType] of [
    [{ schemaVersion: 1 }, 'application/json'],
    [{}, 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
    [{}, 'application/vnd.docker.distribution.manifest.v1+json'],
  ] as const)
    t.throws(() => read(content, mediaType), {
      name: 'RegistryFailure',
      kind: 'refused',
      message: `quay.io/a/b has ${digest} as schema 1, whose digest no copy keeps: build the image again`,
    })
})

await t.test('manifests that cannot be copied', async (t) => {
  for (const [content, message] of [
    [{ mediaType: 'application/vnd.oci.artifact.manifest.v1+json' }, /which is not copied$/],
    [{}, /as "application\/json", which is not copied$/],
    [[], /which is not copied$/],
    ['text', /not a manifest$/],
    [null, /not a manifest$/],
    [{ mediaType: ociManifest }, /malformed$/],
    [{ mediaType: ociManifest, config: descriptor('1'), layers: [null] }, /malformed$/],
    [{ mediaType: ociIndex, manifests: [{ digest: 'x' }] }, /malformed$/],
  ] as const)
    t.throws(() => read(content), { name: 'RegistryFailure', message })
  t.throws(() => readManifestContent({ bytes: Buffer.from('{'), mediaType: ociIndex, digest }, 'a'), {
    name: 'RegistryFailure',
    message: /not a manifest$/,
  })
})

await t.test('schema 2 with a layer that is not gzip can be refused', async (t) => {
  const schema2 = 'application/vnd.docker.distribution.manifest.v2+json'
  const [gzip, plain] = ['tar.gzip', 'tar'].map(
    (suffix) => `application/vnd.docker.image.rootfs.diff.${suffix}`,
  )
  const contentOf = (mediaType: string, ...types: readonly (string | undefined)[]) =>
    read({ mediaType, config: descriptor('1'), layers: types.map((type) => descriptor('2', type)) })
  const require = (content: ReturnType<typeof read>) => requireGzipLayers({ digest }, content, 'quay.io/a/b')
  for (const content of [contentOf(schema2, gzip, gzip), contentOf(ociManifest, plain)])
    t.doesNotThrow(() => require(content))
  t.throws(() => require(contentOf(schema2, gzip, plain)), {
    form: 'invalid manifest v2',
    kind: 'refused',
    message: `quay.io/a/b has ${digest} as schema 2 with a layer of the type "${plain}", which is not gzip`,
  })
})
