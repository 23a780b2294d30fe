import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { Retention } from '../../../src/mirror/copy/retention.ts'
import { digestOf } from '../../support/pushable-registry.ts'
import { putImage, putIndex, tag } from '../../support/image-fixtures.ts'
import { float, pruneTag, someTime, startSides } from './sides.ts'

const started = async (test: Parameters<typeof startSides>[0]) => {
  const sides = await startSides(test)
  const old = putIndex(sides.stored, 'old')
  tag(sides.stored, float, old)
  return { ...sides, old, retention: new Retention(() => someTime) }
}

await t.test('the old list gets its prune tag, and it is read back', async (t) => {
  const { retention, target, stored, old, qci } = await started(t)
  t.equal(await retention.keep(target, float, old.digest), pruneTag)
  t.equal(stored.tags.get(pruneTag), old.digest)
  t.strictSame(
    qci.requests.map(({ method }) => method),
    ['GET', 'GET', 'PUT', 'HEAD'],
  )
})

await t.test('a second try needs no second tag', async (t) => {
  const { retention, target, stored, old } = await started(t)
  await retention.keep(target, float, old.digest)
  t.equal(await retention.keep(target, float, old.digest), pruneTag)
  t.equal(stored.tags.size, 2)
  stored.tags.delete(pruneTag)
  t.equal(await retention.keep(target, float, old.digest), pruneTag, 'somebody has removed it')
  t.equal(stored.tags.size, 2)
  retention.done(target, float, old.digest)
  t.equal(await new Retention(() => someTime).keep(target, float, old.digest), pruneTag, 'after a restart')
})

await t.test('the prune tag of another image is not overwritten', async (t) => {
  const { retention, target, stored, old } = await started(t)
  const other = putImage(stored, 'other')
  tag(stored, pruneTag, other)
  const next = pruneTag.replace('030405', '030406')
  t.equal(await retention.keep(target, float, old.digest), next)
  t.equal(stored.tags.get(pruneTag), other.digest)
  for (let second = 5; second < 60; second++)
    tag(stored, pruneTag.replace('030405', `0304${`${second}`.padStart(2, '0')}`), other)
  await t.rejects(new Retention(() => someTime).keep(target, float, old.digest), {
    name: 'RegistryFailure',
    message: /has no free prune tag/,
  })
})

await t.test('a prune tag counts only if the registry shows it', async (t) => {
  const { retention, target, old, qci } = await started(t)
  qci.fault = ({ method }) => (method === 'PUT' ? { status: 201 } : undefined)
  await t.rejects(retention.keep(target, float, old.digest), {
    name: 'RegistryFailure',
    kind: 'transient',
    message: `${target.label} does not show ${old.digest} as ${pruneTag}`,
  })
  const unknown = digestOf('x') as Digest
  await t.rejects(retention.keep(target, float, unknown), { name: 'RegistryFailure', kind: 'transient' })
})

await t.test('a try after an hour gives the image a tag with a new time', async (t) => {
  const { target, stored, old } = await started(t)
  let now = someTime
  const retention = new Retention(() => now)
  t.equal(await retention.keep(target, float, old.digest), pruneTag)
  now += 30 * 24 * 3_600_000
  t.equal(await retention.keep(target, float, old.digest), pruneTag.replace('20260102', '20260201'))
  t.equal(stored.tags.size, 3)
})
