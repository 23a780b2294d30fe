import t from 'tap'
import type { Test } from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { hasBlob, mountBlob, uploadBlob } from '../../../src/mirror/registry/blob-target.ts'
import {
  digestOf,
  startPushableRegistry,
  type Fault,
  type FakeRequest,
} from '../../support/pushable-registry.ts'
import { repositoryOf } from './clients.ts'

const content = Buffer.from('0123456789'.repeat(10))
const digest = digestOf(content) as Digest
const chunkBytes = 30

async function* parts(bytes = content, length = 7): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

const started = async (test: Test, login?: 'bearer') => {
  const registry = await startPushableRegistry(test, login === undefined ? {} : { login })
  const stored = registry.repository('openshift/ci')
  const options = login === undefined ? {} : { credentialOf: () => ({ username: 'a', password: 'b' }) }
  return { registry, stored, repository: repositoryOf(test, registry, options) }
}
const upload = (bytes = content) => ({ digest, size: content.length, bytes: parts(bytes), chunkBytes })

/** The nth request of a method has the fault. */
const nth = (method: string, number: number, fault: Fault) => {
  let count = 0
  return (request: FakeRequest): Fault | undefined =>
    request.method === method && ++count === number ? fault : undefined
}

await t.test('whether the target has a blob', async (t) => {
  const { registry, stored, repository } = await started(t)
  t.equal(await hasBlob(repository, digest), false)
  stored.blobs.set(digest, content)
  t.equal(await hasBlob(repository, digest), true)
  registry.fault = () => ({ status: 403 })
  await t.rejects(hasBlob(repository, digest), { name: 'RegistryFailure', kind: 'refused' })
})

await t.test('a mount moves no bytes', async (t) => {
  const { registry, stored, repository } = await started(t, 'bearer')
  registry.repository('fedora/fedora').blobs.set(digest, content)
  t.equal(await mountBlob(repository, digest, 'fedora/fedora'), true)
  t.ok(stored.blobs.has(digest))
  t.match(registry.tokenRequests, [/ repository:openshift\/ci:pull,push repository:fedora\/fedora:pull$/])
  t.equal(await mountBlob(repository, digestOf('other') as Digest, 'fedora/fedora'), false)
  t.equal(registry.uploads.size, 0, 'the upload that the registry began is cancelled')
})

await t.test('an upload in chunks', async (t) => {
  const { registry, stored, repository } = await started(t)
  await uploadBlob(repository, upload())
  t.ok(stored.blobs.get(digest)?.equals(content))
  t.strictSame(
    registry.requests.map(({ method, headers }) => headers['content-range'] ?? method),
    ['POST', '0-34', '35-69', '70-99', 'PUT'],
  )
  registry.extraHeaders['oci-chunk-min-length'] = '90'
  registry.requests.length = 0
  await uploadBlob(repository, upload())
  t.equal(registry.requests.filter(({ method }) => method === 'PATCH').length, 2, 'as large as it asks for')
  registry.requests.length = 0
  await uploadBlob(repository, { digest, size: content.length, bytes: parts() })
  t.equal(registry.requests.length, 3)
})

await t.test('a chunk that is lost, or whose answer is lost', async (t) => {
  for (const fault of ['cut before', 'cut after', { status: 503 }, { status: 429 }] as const)
    for (const number of [1, 2, 3]) {
      const { registry, stored, repository } = await started(t)
      registry.fault = nth('PATCH', number, fault)
      await uploadBlob(repository, upload())
      t.ok(stored.blobs.get(digest)?.equals(content), `${JSON.stringify(fault)} at chunk ${number}`)
    }
})

await t.test('the end of an upload, whose answer is lost', async (t) => {
  const { registry, stored, repository } = await started(t)
  registry.fault = nth('PUT', 1, 'cut after')
  await uploadBlob(repository, upload())
  t.ok(stored.blobs.has(digest))
  t.equal(registry.requests.filter(({ method }) => method === 'PUT').length, 2)
})

await t.test('a registry that takes half of a chunk', async (t) => {
  const { registry, stored, repository } = await started(t)
  let count = 0
  registry.fault = ({ method }) => {
    if (method !== 'PATCH' || ++count !== 2) return undefined
    const [id = ''] = [...registry.uploads.keys()]
    registry.uploads.set(id, content.subarray(0, 50))
    return { status: 416 }
  }
  await uploadBlob(repository, upload())
  t.ok(stored.blobs.get(digest)?.equals(content))
})

await t.test('a registry that loses the offset, or the upload', async (t) => {
  for (const lost of [content.subarray(0, 10), Buffer.concat([content, content])]) {
    const { registry, repository } = await started(t)
    let count = 0
    registry.fault = ({ method }) => {
      if (method !== 'PATCH' || ++count !== 2) return undefined
      for (const id of registry.uploads.keys()) registry.uploads.set(id, lost)
      return { status: 416 }
    }
    await t.rejects(uploadBlob(repository, upload()), { name: 'RegistryFailure', message: /lost its place/ })
  }
  const { registry, repository } = await started(t)
  registry.fault = ({ method }) => {
    if (method === 'PATCH') registry.uploads.clear()
    return undefined
  }
  await t.rejects(uploadBlob(repository, upload()), { name: 'RegistryFailure', kind: 'transient' })
})

await t.test('a registry that takes no bytes, or refuses them', async (t) => {
  const { registry, repository } = await started(t)
  registry.fault = ({ method }) => (method === 'PATCH' ? 'cut before' : undefined)
  await t.rejects(uploadBlob(repository, upload()), { name: 'RegistryFailure', message: /takes no bytes/ })
  registry.fault = ({ method }) => (method === 'PATCH' ? { status: 403 } : undefined)
  await t.rejects(uploadBlob(repository, upload()), { name: 'RegistryFailure', kind: 'refused' })
})

await t.test('wrong bytes are never committed', async (t) => {
  const { registry, stored, repository } = await started(t)
  const wrong = Buffer.from(content)
  wrong[50] = 0
  for (const bytes of [wrong, content.subarray(0, 99)])
    await t.rejects(uploadBlob(repository, upload(bytes)), { name: 'RegistryFailure', kind: 'broken' })
  t.equal(stored.blobs.size, 0)
  t.equal(registry.uploads.size, 0, 'the upload is cancelled')
  t.notOk(registry.requests.some(({ method }) => method === 'PUT'))
  registry.fault = nth('DELETE', 1, { status: 500 })
  await t.rejects(uploadBlob(repository, upload(wrong)), { name: 'RegistryFailure', kind: 'broken' })
})

await t.test('attack: an upload whose Location is on another host', async (t) => {
  const { registry, repository } = await started(t)
  for (const headers of [{ location: 'http://evil.example.org/v2/' }, { location: 'http://[' }, {}]) {
    registry.fault = ({ method }) => (method === 'POST' ? { status: 202, headers } : undefined)
    await t.rejects(uploadBlob(repository, upload()), { name: 'RegistryFailure', kind: 'broken' })
  }
})

await t.test('an answer without a Location continues the upload at the same URL', async (t) => {
  const { registry, stored, repository } = await started(t)
  registry.fault = ({ method, path, headers }) => {
    if (method !== 'PATCH') return undefined
    const id = new URL(path, registry.origin).pathname.split('/').at(-1) as string
    const [start = '0', end = '0'] = `${headers['content-range']}`.split('-')
    const so = registry.uploads.get(id) as Buffer
    registry.uploads.set(id, Buffer.concat([so, content.subarray(Number(start), Number(end) + 1)]))
    return { status: 202 }
  }
  await uploadBlob(repository, upload())
  t.ok(stored.blobs.get(digest)?.equals(content))
})

await t.test('an upload of which nothing has arrived', async (t) => {
  const { registry, stored, repository } = await started(t)
  const [lost, state] = [nth('PATCH', 1, 'cut before'), nth('GET', 1, { status: 204 })]
  registry.fault = (request) => lost(request) ?? state(request)
  await uploadBlob(repository, upload())
  t.ok(stored.blobs.has(digest))
})
