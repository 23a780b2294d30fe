import t, { type Test } from 'tap'
import type { Digest, QciTag } from '../../../src/oci/reference.ts'
import type { StoredDocument } from '../../../src/storage/documents.ts'
import { createStoredManifests } from '../../../src/upstream/cache/stored-manifests.ts'
import type { Manifest, ManifestRequest } from '../../../src/oci/image-source.ts'
import { smallIndex } from './scripted-upstream.ts'

const request = (reference: QciTag | Digest, method: 'GET' | 'HEAD' = 'GET'): ManifestRequest => ({
  method,
  reference,
  accept: undefined,
  requester: 'alice',
})

const setUp = (_test: Test, answer: Manifest = smallIndex) => {
  const stored = new Map<string, StoredDocument>()
  let fetched = 0
  const manifests = createStoredManifests({
    get: async (digest) => await Promise.resolve(stored.get(digest)),
    put: async (digest, document) => await Promise.resolve(void stored.set(digest, document)),
  })
  const fetch = manifests.storing(async ({ method }) => {
    fetched += 1
    return await Promise.resolve(method === 'HEAD' ? { ...answer, content: undefined } : answer)
  })
  return { fetch, stored, read: manifests.read, fetched: () => fetched }
}

await t.test('a digest is read from the disk; a tag is always requested from upstream', async (test) => {
  const { fetch, fetched, read } = setUp(test)
  test.equal(await read(smallIndex.digest, 'alice'), undefined)
  test.strictSame(await fetch(request('ocp_4.5_base' as QciTag)), smallIndex)
  test.strictSame(await fetch(request(smallIndex.digest)), smallIndex)
  test.strictSame(await fetch(request(smallIndex.digest, 'HEAD')), { ...smallIndex, content: undefined })
  test.equal(fetched(), 1)
  await fetch(request('ocp_4.5_base' as QciTag))
  test.equal(fetched(), 2)
  test.strictSame(await read(smallIndex.digest, 'alice'), smallIndex)
})

await t.test('a manifest without bytes, or with an unverifiable digest, is not stored', async (test) => {
  const head = setUp(test)
  await head.fetch(request(smallIndex.digest, 'HEAD'))
  test.equal(head.stored.size, 0)
  const signed = setUp(test, {
    ...smallIndex,
    mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  })
  await signed.fetch(request(smallIndex.digest))
  test.equal(signed.stored.size, 0)
})
