import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { digestOf, startPushableRegistry } from '../../support/pushable-registry.ts'
import { ociManifest, putIndex, tag } from '../../support/image-fixtures.ts'
import { repositoryOf } from './clients.ts'

const started = async (test: Parameters<typeof startPushableRegistry>[0]) => {
  const registry = await startPushableRegistry(test)
  const stored = registry.repository('openshift/ci')
  const index = putIndex(stored, 'a')
  tag(stored, 'a', index)
  return { registry, stored, index, repository: repositoryOf(test, registry) }
}

await t.test('a tag is one HEAD', async (t) => {
  const { registry, repository, index } = await started(t)
  t.equal(repository.label, `${registry.host}/openshift/ci`)
  t.equal(await repository.resolve('a'), index.digest, 'the digest of the index, not of a platform')
  t.equal(await repository.resolve('b'), undefined)
  t.strictSame(
    registry.requests.map(({ method }) => method),
    ['HEAD', 'HEAD'],
  )
})

await t.test('a tag counts as missing only if the registry itself reports it', async (t) => {
  const { registry, repository, index } = await started(t)
  t.equal(await repository.resolveSurely('a'), index.digest)
  t.equal(await repository.resolveSurely('b'), undefined)
  const unsure = { name: 'RegistryFailure', kind: 'transient', message: /does not say for certain/ }
  registry.fault = () => ({ status: 404, body: '<html>' })
  await t.rejects(repository.resolveSurely('a'), unsure)
  registry.fault = () => 'half body'
  await t.rejects(repository.resolveSurely('b'), unsure)
  registry.fault = () => ({ status: 403 })
  await t.rejects(repository.resolveSurely('b'), { name: 'RegistryFailure', kind: 'refused' })
})

await t.test('a registry that names no digest', async (t) => {
  const { registry, repository, index } = await started(t)
  const { bytes } = registry.repository('openshift/ci').manifests.get(index.digest) as { bytes: Buffer }
  registry.fault = () => ({ status: 200, body: bytes.toString() })
  t.equal(await repository.resolve('a'), index.digest)
  registry.fault = ({ method }) => (method === 'HEAD' ? { status: 200 } : undefined)
  registry.repository('openshift/ci').tags.clear()
  t.equal(await repository.resolve('a'), undefined)
})

await t.test('the bytes of a manifest are verified', async (t) => {
  const { registry, stored, repository, index } = await started(t)
  const manifest = await repository.manifest('a')
  t.match(manifest, { digest: index.digest, mediaType: index.mediaType })
  t.strictSame(manifest?.bytes, stored.manifests.get(index.digest)?.bytes)
  t.equal(await repository.manifest('b'), undefined)
  for (const reference of ['a', index.digest]) {
    registry.fault = () => 'wrong bytes'
    await t.rejects(repository.manifest(reference), { name: 'RegistryFailure', kind: 'broken' })
  }
  registry.fault = () => 'half body'
  await t.rejects(repository.manifest('a'), { name: 'RegistryFailure', kind: 'transient' })
  registry.fault = () => ({ status: 200, body: 'x'.repeat(5 * 1024 * 1024) })
  const tooLarge = { name: 'RegistryFailure', kind: 'refused', message: /more than 4194304 bytes: a$/ }
  await t.rejects(repository.manifest('a'), tooLarge, 'attack: a manifest without end')
})

await t.test('a manifest is put with its bytes unchanged', async (t) => {
  const { stored, repository } = await started(t)
  const bytes = Buffer.from('{"schemaVersion": 2,\n "layers": []}  ')
  const digest = digestOf(bytes) as Digest
  await repository.putManifest('b', { bytes, mediaType: ociManifest, digest })
  t.equal(stored.tags.get('b'), digest)
  t.strictSame(stored.manifests.get(digest), { bytes, mediaType: ociManifest })
})

await t.test('a tag that others write is put once', async (t) => {
  const { registry, repository } = await started(t)
  const manifest = await repository.manifest('a')
  registry.requests.length = 0
  registry.fault = () => ({ status: 429 })
  await t.rejects(repository.putManifest('a', manifest as NonNullable<typeof manifest>, false), {
    name: 'RegistryFailure',
    kind: 'limited',
  })
  t.equal(registry.requests.length, 1)
})

await t.test('refusals of a registry, as sentences', async (t) => {
  const { registry, repository, index } = await started(t)
  const manifest = { bytes: Buffer.from('{}'), mediaType: ociManifest, digest: index.digest }
  const error = (code: string) => JSON.stringify({ errors: [{ code }] })
  for (const [fault, kind, text] of [
    [{ status: 403, body: error('DENIED') }, 'refused', '403 DENIED'],
    [{ status: 409, body: error('TAG_IMMUTABLE') }, 'refused', '409 TAG_IMMUTABLE'],
    [{ status: 400, body: error('MANIFEST_INVALID') }, 'refused', '400 MANIFEST_INVALID'],
    [{ status: 400, body: error('MANIFEST_BLOB_UNKNOWN') }, 'transient', '400 MANIFEST_BLOB_UNKNOWN'],
    [{ status: 404, body: '<html>' }, 'transient', '404'],
    [{ status: 405, body: 'x'.repeat(100_000) }, 'refused', '405'],
  ] as const) {
    registry.fault = () => fault
    await t.rejects(repository.putManifest('b', manifest), {
      name: 'RegistryFailure',
      kind,
      message: `${repository.label} does not take or give the manifest ${index.digest} as b: ${text}`,
    })
  }
  registry.fault = () => ({ status: 403 })
  await t.rejects(repository.resolve('a'), { name: 'RegistryFailure', kind: 'refused' })
})

await t.test('a client that only pulls requests no further scope', async (t) => {
  const { registry } = await started(t)
  const scopesOf = (mayPush: boolean) => repositoryOf(t, registry, { mayPush }).scopes
  t.strictSame(scopesOf(false), ['repository:openshift/ci:pull'])
  t.strictSame(scopesOf(true), ['repository:openshift/ci:pull,push'])
})

await t.test('one manifest is written by one request at a time', async (t) => {
  const { registry, stored, repository } = await started(t)
  const manifest = await repository.manifest('a')
  if (manifest === undefined) throw new Error('there is no manifest')
  const { client } = repository.options
  const send = client.send.bind(client)
  let inFlight = 0
  let most = 0
  client.send = async (request) => {
    inFlight += 1
    most = Math.max(most, inFlight)
    return await send(request).finally(() => (inFlight -= 1))
  }
  registry.fault = ({ path }) => (path.endsWith('/b') ? { status: 403 } : undefined)
  const results = await Promise.allSettled(
    ['b', 'c', 'd'].map(async (name) => await repository.putManifest(name, manifest)),
  )
  t.strictSame(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  )
  t.equal(most, 1)
  t.equal(stored.tags.get('d'), manifest.digest)
})

await t.test('attack: the page of a load balancer is no manifest', async (t) => {
  const { registry, repository } = await started(t)
  const page = { name: 'RegistryFailure', kind: 'transient', message: /answers to a with no manifest$/ }
  for (const body of ['<html>be right back</html>', '', '{}', '{"errors":[]}', '[]', '5', 'null']) {
    registry.fault = () => ({ status: 200, headers: { 'content-type': 'application/json' }, body })
    for (const read of ['resolve', 'resolveSurely', 'manifest'] as const)
      await t.rejects<unknown>(repository[read]('a'), page, body)
  }
})

await t.test('attack: names and tags that would be another path', async (t) => {
  const { registry, repository } = await started(t)
  const manifest = await repository.manifest('a')
  registry.requests.length = 0
  const refused = { name: 'RegistryFailure', kind: 'refused' }
  for (const tag of [
    '',
    'a?x',
    'a#x',
    '../../other/manifests/a',
    'a/b',
    'a%2fb',
    '-a',
    'sha256:1',
    'x'.repeat(129),
  ])
    for (const run of [
      async () => await repository.resolve(tag),
      async () => await repository.resolveSurely(tag),
      async () => await repository.manifest(tag),
      async () => await repository.putManifest(tag, manifest as NonNullable<typeof manifest>),
    ])
      await t.rejects<unknown>(run(), refused, tag)
  for (const name of ['', 'a/..', '../b', 'a//b', 'a?b', 'A/b', 'a b'])
    t.throws(() => repositoryOf(t, registry, { client: repository.options.client, name }), refused, name)
  t.strictSame(registry.requests, [])
})
