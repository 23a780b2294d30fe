import t from 'tap'
import { buildArtifact, buildBlobsArtifact, buildTinyImage } from '../../../src/sandbox/quay/artifacts.ts'
import type { Content } from '../../../src/sandbox/quay/descriptors.ts'
import { digestOf } from '../../../src/sandbox/quay/layers.ts'

interface Document {
  readonly mediaType: string
  readonly subject?: { readonly digest: string }
  readonly config?: { readonly digest: string }
  readonly layers?: readonly { readonly digest: string }[]
  readonly blobs?: readonly { readonly digest: string; readonly size: number }[]
}
const read = ({ body }: Content) => JSON.parse(body.toString()) as Document

await t.test('every digest is right, and everything that is named exists', (test) => {
  const base = Buffer.from('base')
  const image = buildTinyImage({ name: 'a', base: [base] })
  const contents = [
    image,
    buildArtifact({ subject: image, artifactType: 'a/b', payload: Buffer.from('x') }),
    buildBlobsArtifact({ artifactType: 'a/b', blobs: [base, Buffer.from('y')] }),
  ]
  for (const content of contents) {
    test.equal(digestOf(content.body), content.digest)
    for (const [digest, body] of content.blobs) test.equal(digestOf(body), digest)
    const { config, layers = [], blobs = [] } = read(content)
    const named = [...(config === undefined ? [] : [config]), ...layers, ...blobs].map(({ digest }) => digest)
    test.strictSame(named.toSorted(), [...content.blobs.keys()].toSorted())
  }
  test.equal(read(image).layers?.[0]?.digest, digestOf(base), 'the base is below')
  test.equal(read(contents[1]!).subject?.digest, image.digest)
  test.end()
})

await t.test('an artifact manifest has blobs, and neither a config nor layers', (test) => {
  const artifact = buildBlobsArtifact({ artifactType: 'a/b', blobs: [Buffer.from('x')] })
  test.strictSame(Object.keys(read(artifact)), ['mediaType', 'artifactType', 'blobs'])
  test.equal(artifact.mediaType, 'application/vnd.oci.artifact.manifest.v1+json')
  test.end()
})

await t.test('a tiny image follows from its name', (test) => {
  const { digest, body } = buildTinyImage({ name: 'a' })
  test.equal(buildTinyImage({ name: 'a' }).digest, digest)
  test.not(buildTinyImage({ name: 'b' }).digest, digest)
  test.ok(body.length < 1024)
  test.end()
})
