import t from 'tap'
import { builtAt } from '../../../src/mirror/copy/built-at.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import {
  ociIndex,
  ociManifest,
  putBlob,
  putContent,
  putImage,
  putImageOf,
} from '../../support/image-fixtures.ts'
import { startSides } from './sides.ts'

const created = '2026-01-02T03:04:05.678Z'
const at = Date.parse(created)

await t.test('of an image, and of the latest image of a list', async (t) => {
  const { target, stored, qci } = await startSides(t)
  const image = putImageOf(stored, created)
  t.equal(await builtAt(target, image.digest), at)
  const list = putContent(
    stored,
    { manifests: [putImageOf(stored, '2025-01-01T00:00:00Z'), image, putImage(stored, 'no time')] },
    ociIndex,
  )
  t.equal(await builtAt(target, list.digest), at)
  const many = Array.from({ length: 17 }, (_, index) => putImageOf(stored, created, `layer ${index}`))
  const sent = qci.requests.length
  t.equal(await builtAt(target, putContent(stored, { manifests: many }, ociIndex).digest), undefined)
  t.equal(qci.requests.length, sent + 1, 'a long list costs one request')
})

await t.test('undefined where an image does not say it', async (t) => {
  const { target, stored, qci } = await startSides(t)
  const configType = 'application/vnd.oci.image.config.v1+json'
  const large = { ...putBlob(stored, '{}', configType), size: 5_000_000 }
  const contents: readonly (readonly [content: object, type: string])[] = [
    [{ config: putBlob(stored, '{"created":5}', configType), layers: [] }, ociManifest],
    [{ config: putBlob(stored, '{"created":"today"}', configType), layers: [] }, ociManifest],
    [{ config: putBlob(stored, '{"created":"0001-01-01T00:00:00Z"}', configType), layers: [] }, ociManifest],
    [{ config: putBlob(stored, '{"created":"1970-01-01T00:00:00Z"}', configType), layers: [] }, ociManifest],
    [{ config: putBlob(stored, 'none', configType), layers: [] }, ociManifest],
    [{ config: large, layers: [] }, ociManifest],
    [{ manifests: [] }, ociIndex],
    [{ schemaVersion: 1 }, 'application/vnd.docker.distribution.manifest.v1+json'],
  ]
  for (const [content, type] of contents)
    t.equal(
      await builtAt(target, putContent(stored, content, type).digest),
      undefined,
      JSON.stringify(content),
    )
  t.equal(await builtAt(target, `sha256:${'0'.repeat(64)}` as Digest), undefined)
  const [first, second] = [putImageOf(stored, created), putImageOf(stored, created, 'another')]
  const blobOf = ({ digest }: typeof first) =>
    (JSON.parse(String(stored.manifests.get(digest)?.bytes)) as { config: { digest: string; size: number } })
      .config
  stored.blobs.set(blobOf(first).digest, Buffer.from('x'.repeat(blobOf(first).size)))
  t.equal(await builtAt(target, first.digest), undefined, 'other bytes')
  qci.fault = () => ({ status: 403 })
  await t.rejects(builtAt(target, second.digest), /403/)
})

await t.test('attack: an index of indexes without end', async (t) => {
  const { target, stored } = await startSides(t)
  let image = putImageOf(stored, created)
  for (let depth = 0; depth < 5; depth++) image = putContent(stored, { manifests: [image] }, ociIndex)
  t.equal(await builtAt(target, image.digest), undefined)
})

await t.test('a list whose images cannot be read', async (t) => {
  const { target, stored, qci } = await startSides(t)
  const list = putContent(
    stored,
    { manifests: [{ mediaType: ociManifest, digest: 'none', size: 1 }] },
    ociIndex,
  )
  t.equal(await builtAt(target, list.digest), undefined, 'malformed')
  qci.fault = () => undefined
})
