import t from 'tap'
import { judgeDistributed } from '../../../src/mirror/plan/distributed-findings.ts'
import type { Finding } from '../../../src/mirror/plan/findings.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { putImage, putImageOf } from '../../support/image-fixtures.ts'
import { float, startSides } from '../copy/sides.ts'

const digest = `sha256:${'0'.repeat(64)}` as Digest

await t.test('an older tag of app.ci does not replace a newer image of QCI', async (t) => {
  const { source, target, stored, qci } = await startSides(t)
  const sides = { source, version: 'x', target, float }
  const imageStreamTag = { namespace: 'ocp', name: '4.5', tag: 'cli' }
  const judge = async (
    setAt: string | undefined,
    replaced: Digest | undefined,
    common?: Digest,
  ): Promise<Finding> => {
    const distributed = { imageStreamTag, setAt: setAt === undefined ? undefined : Date.parse(setAt) }
    const reference = {
      registry: 'registry.ci.openshift.org',
      repository: 'ocp/4.5',
      tag: 'cli',
      digest: undefined,
    }
    const image = { target: 'ocp/4.5:cli', float, source: reference, distributed }
    return await judgeDistributed({ image, state: 'different', digest, replaced }, sides, common)
  }
  const built = putImageOf(stored, '2026-05-01T00:00:00Z').digest
  t.match(await judge('2026-05-01T10:00:00Z', built), { state: 'different', isStale: false })
  t.match(await judge('2026-05-03T00:00:00Z', built), { state: 'different', isStale: true })
  t.match(await judge('2026-04-30T00:00:00Z', built), {
    state: 'left out',
    reason:
      'the image in QCI was built at 2026-05-01T00:00:00.000Z, after the ImageStream tag got its image at 2026-04-30T00:00:00.000Z',
  })
  const sent = qci.requests.length
  t.match(await judge('2026-04-30T00:00:00Z', undefined), { state: 'different' })
  t.equal(qci.requests.length, sent, 'a new tag costs no request more')
  for (const [setAt, old, reason] of [
    [undefined, built, /^app.ci does not say when .* may be newer: name the image/],
    [
      '2026-05-03T00:00:00Z',
      putImage(stored, 'without a time').digest,
      /^the image in QCI does not say when/,
    ],
    ['2026-05-03T00:00:00Z', putImageOf(stored, '1970-01-01T00:00:00Z').digest, /^the image in QCI does not/],
  ] as const)
    t.match(await judge(setAt, old, digest), { state: 'left out', reason })
  const former = putImage(stored, 'the former image of the tag').digest
  t.match(await judge('2026-05-03T00:00:00Z', former, former), { state: 'different', replaced: former })
})

await t.test('findings of other images are as they are', async (t) => {
  const { source, target, qci } = await startSides(t)
  const reference = { registry: 'quay.io', repository: 'a/b', tag: 'c', digest: undefined }
  const image = { target: 'a/b:c', float, source: reference }
  const finding: Finding = { image, state: 'different', digest, replaced: digest }
  t.equal(await judgeDistributed(finding, { source, version: 'x', target, float }), finding)
  const same: Finding = { image, state: 'same', digest }
  t.equal(await judgeDistributed(same, { source, version: 'x', target, float }), same)
  t.strictSame(qci.requests, [])
})
