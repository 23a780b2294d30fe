import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { createBlobCopier } from '../../../src/mirror/copy/blob-copier.ts'
import { digestOf } from '../../support/pushable-registry.ts'
import { startSides } from './sides.ts'

const bytes = Buffer.from('a layer of some bytes')
const blob = { digest: digestOf(bytes) as Digest, size: bytes.length }

await t.test('from another registry, a blob is uploaded unless the target has it', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t)
  original.blobs.set(blob.digest, bytes)
  t.equal(await createBlobCopier().copy(source, target, blob), 'uploaded')
  t.ok(stored.blobs.get(blob.digest)?.equals(bytes))
  qci.requests.length = 0
  t.equal(await createBlobCopier(4).copy(source, target, blob), 'present')
  t.equal(qci.requests.length, 1)
})

await t.test('from the same registry, a blob is mounted: one request and no bytes', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t, { isNeighbour: true })
  original.blobs.set(blob.digest, bytes)
  t.equal(await createBlobCopier().copy(source, target, blob), 'mounted')
  t.strictSame(
    qci.requests.map(({ method }) => method),
    ['POST'],
  )
  stored.blobs.clear()
  qci.fault = ({ path }) =>
    path.includes('mount=') ? { status: 202, headers: { location: '/v2/x' } } : undefined
  t.equal(await createBlobCopier().copy(source, target, blob), 'uploaded', 'a registry that does not mount')
})

await t.test('if the pushing robot may not read the source, the blob is uploaded', async (t) => {
  const { source, target, original, qci } = await startSides(t, { isNeighbour: true })
  original.blobs.set(blob.digest, bytes)
  qci.fault = ({ path }) => (path.includes('mount=') ? { status: 403 } : undefined)
  t.equal(await createBlobCopier().copy(source, target, blob), 'uploaded')
  qci.fault = ({ path }) => (path.includes('mount=') ? { status: 500 } : undefined)
  await t.rejects(createBlobCopier().copy(source, target, blob), {
    name: 'RegistryFailure',
    kind: 'transient',
  })
})

await t.test('within one repository there is nothing to mount', async (t) => {
  const { target, stored } = await startSides(t)
  stored.blobs.set(blob.digest, bytes)
  t.equal(await createBlobCopier().copy(target, target, blob), 'present')
})

await t.test('no digest is copied twice at a time', async (t) => {
  const { source, target, original, qci } = await startSides(t)
  original.blobs.set(blob.digest, bytes)
  const copier = createBlobCopier(4)
  const outcomes = await Promise.all([1, 2, 3].map(async () => await copier.copy(source, target, blob)))
  t.strictSame(outcomes, ['uploaded', 'present', 'present'])
  t.equal(qci.requests.filter(({ method }) => method === 'POST').length, 1)
})

await t.test('a copied blob is not requested again, unless it was forgotten', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t)
  original.blobs.set(blob.digest, bytes)
  const copier = createBlobCopier()
  t.equal(await copier.copy(source, target, blob), 'uploaded')
  qci.requests.length = 0
  t.equal(await copier.copy(source, target, blob), 'present')
  t.strictSame(qci.requests, [])
  stored.blobs.clear()
  copier.forget(target, [blob])
  t.equal(await copier.copy(source, target, blob), 'uploaded')
})

await t.test('a broken source does not fail another image', async (t) => {
  const [broken, good] = [await startSides(t), await startSides(t)]
  good.original.blobs.set(blob.digest, bytes)
  const copier = createBlobCopier(4)
  const first = copier.copy(broken.source, good.target, blob)
  const second = copier.copy(good.source, good.target, blob)
  await t.rejects(first, { name: 'RegistryFailure' })
  t.equal(await second, 'uploaded')
})
