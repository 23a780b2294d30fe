import t from 'tap'
import type { Test } from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { readBlob } from '../../../src/mirror/registry/blob-source.ts'
import { digestOf, startPushableRegistry } from '../../support/pushable-registry.ts'
import { repositoryOf } from './clients.ts'

const content = Buffer.from('0123456789'.repeat(10_000))
const digest = digestOf(content) as Digest

const started = async (test: Test) => {
  const registry = await startPushableRegistry(test)
  registry.repository('openshift/ci').blobs.set(digest, content)
  return registry
}

const readAll = async (blob: AsyncIterable<Buffer>): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of blob) chunks.push(chunk)
  return Buffer.concat(chunks)
}

await t.test('every byte in order', async (t) => {
  const registry = await started(t)
  t.ok((await readAll(readBlob(repositoryOf(t, registry), digest, content.length))).equals(content))
  t.equal(registry.requests.length, 1)
})

await t.test('a stream that breaks off is resumed at the next byte', async (t) => {
  const registry = await started(t)
  registry.fault = () => (registry.requests.length <= 3 ? 'half body' : undefined)
  t.ok((await readAll(readBlob(repositoryOf(t, registry), digest, content.length))).equals(content))
  t.equal(registry.requests.length, 4)
  t.match(registry.requests[1]?.headers.range, /^bytes=[1-9]\d*-$/)
})

await t.test('a stream that breaks off again and again', async (t) => {
  const registry = await started(t)
  registry.fault = () => 'no body'
  await t.rejects(readAll(readBlob(repositoryOf(t, registry), digest, 100_000)), {
    name: 'RegistryFailure',
    kind: 'transient',
    message: /again and again$/,
  })
})

await t.test('more bytes than the manifest says, and none', async (t) => {
  const registry = await started(t)
  const repository = repositoryOf(t, registry)
  await t.rejects(readAll(readBlob(repository, digest, 10)), { name: 'RegistryFailure', kind: 'broken' })
  const unknown = digestOf('unknown') as Digest
  await t.rejects(readAll(readBlob(repository, unknown, 10)), { name: 'RegistryFailure', kind: 'transient' })
})

await t.test('attack: the rest has another offset', async (t) => {
  const registry = await started(t)
  registry.fault = () =>
    registry.requests.length === 1
      ? 'half body'
      : { status: 206, headers: { 'content-range': 'bytes 1-9/10' }, body: 'x' }
  await t.rejects(readAll(readBlob(repositoryOf(t, registry), digest, content.length)), {
    name: 'RegistryFailure',
    kind: 'broken',
  })
})

await t.test('a reader may leave', async (t) => {
  const registry = await started(t)
  const gone = new AbortController()
  registry.fault = () => 'half body'
  const repository = repositoryOf(t, registry, { signal: gone.signal })
  await t.rejects(
    (async () => {
      for await (const _ of readBlob(repository, digest, content.length)) gone.abort()
    })(),
  )
  t.equal(registry.requests.length, 1)
})

await t.test(
  'attack: a source that sends very slowly; a target that takes very slowly is none',
  async (t) => {
    const registry = await started(t)
    const repository = repositoryOf(t, registry)
    const clock = (msForEach: number) => {
      let now = 0
      return () => (now += msForEach)
    }
    await t.rejects(readAll(readBlob(repository, digest, content.length, clock(100_000))), {
      kind: 'transient',
      message: /too slowly$/,
    })
    t.ok((await readAll(readBlob(repository, digest, content.length, clock(10)))).equals(content))
    let now = 0
    let length = 0
    for await (const chunk of readBlob(repository, digest, content.length, () => now)) {
      length += chunk.length
      now += 1_000_000
    }
    t.equal(length, content.length)
  },
)

await t.test('attack: a byte for each connection is no progress', async (t) => {
  const registry = await started(t)
  registry.fault = ({ headers }) => {
    const at = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0)
    if (at === 0) return 'half body'
    return { status: 206, headers: { 'content-range': `bytes ${at}-${at}/100000` }, body: 'x' }
  }
  await t.rejects(readAll(readBlob(repositoryOf(t, registry), digest, content.length)), /again and again$/)
  t.ok(registry.requests.length < 12)
})
