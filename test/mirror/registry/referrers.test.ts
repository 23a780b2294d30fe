import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import {
  fallbackTagOf,
  maxReferrers,
  readReferrers,
  subjectOf,
  withReferrers,
} from '../../../src/mirror/registry/referrers.ts'
import { ociIndex, ociManifest, putContent, tag } from '../../support/image-fixtures.ts'
import { startPushableRegistry, type PushableRegistry } from '../../support/pushable-registry.ts'
import { repositoryOf } from './clients.ts'

const digest = `sha256:${'a'.repeat(64)}` as Digest
const referrer = (letter: string) => ({
  mediaType: ociManifest,
  digest: `sha256:${letter.repeat(64)}` as Digest,
  size: 7,
})
const pages = (
  registry: PushableRegistry,
  ...answers: readonly (readonly [body: string, link?: string])[]
) => {
  let page = 0
  registry.fault = ({ path }) => {
    if (!path.includes('/referrers/')) return undefined
    const [body, link] = answers[Math.min(page++, answers.length - 1)] as (typeof answers)[0]
    return { status: 200, body, headers: link === undefined ? {} : { link } }
  }
}
const indexOf = (...manifests: readonly unknown[]) => JSON.stringify({ schemaVersion: 2, manifests })

await t.test('referrers by the API, page by page', async (t) => {
  const registry = await startPushableRegistry(t)
  const repository = repositoryOf(t, registry)
  pages(
    registry,
    [indexOf(referrer('b')), `<https://elsewhere.example/x?n=1&last=b>; rel="next"`],
    [indexOf(referrer('c'))],
  )
  t.same(await readReferrers(repository, digest), [referrer('b'), referrer('c')])
  // Attack: a page elsewhere would get the token.
  t.strictSame(
    registry.requests.map(({ path }) => path),
    [`/v2/openshift/ci/referrers/${digest}`, `/v2/openshift/ci/referrers/${digest}?n=1&last=b`],
  )
})

await t.test('without the API, by the tag; and no referrers at all', async (t) => {
  const registry = await startPushableRegistry(t)
  const repository = repositoryOf(t, registry)
  t.strictSame(await readReferrers(repository, digest), [])
  const stored = registry.repository('openshift/ci')
  tag(stored, `sha256-${'a'.repeat(64)}`, putContent(stored, { manifests: [referrer('b')] }, ociIndex))
  t.same(await readReferrers(repository, digest), [referrer('b')])
  t.equal(fallbackTagOf(`sha512:${'a'.repeat(128)}` as Digest), undefined)
  t.strictSame(await readReferrers(repository, `sha512:${'a'.repeat(128)}` as Digest), [])
})

await t.test('attack: referrers without end, and answers that are none', async (t) => {
  const registry = await startPushableRegistry(t)
  const repository = repositoryOf(t, registry)
  const many = Array.from({ length: maxReferrers + 1 }, () => referrer('b'))
  pages(registry, [indexOf(...many)])
  await t.rejects(readReferrers(repository, digest), { kind: 'refused', message: /more than 100 referrers/ })
  pages(registry, [indexOf(referrer('b')), '</x?last=1>; rel="next"'])
  await t.rejects(readReferrers(repository, digest), /more than 100 referrers/)
  t.equal(registry.requests.length, 11, 'ten pages at most')
  pages(registry, [indexOf(referrer('b')), '</x>; rel="next"'])
  t.same(
    await readReferrers(repository, digest),
    [referrer('b')],
    'a next page without a query is the same page',
  )
  pages(registry, [indexOf(referrer('b')), '<http://[>; rel="next"'])
  await t.rejects(readReferrers(repository, digest), { kind: 'broken', message: /malformed next page/ })
  for (const body of ['no JSON', '{}', indexOf({ digest: 'x' }), 'null']) {
    pages(registry, [body])
    await t.rejects(
      readReferrers(repository, digest),
      { kind: 'broken', message: /malformed referrers/ },
      body,
    )
  }
  registry.fault = () => ({ status: 403 })
  await t.rejects(readReferrers(repository, digest), { message: /403/ })
  pages(registry, [indexOf(...many.map((one) => ({ ...one, annotations: { x: 'y'.repeat(50_000) } })))])
  await t.rejects(readReferrers(repository, digest), { kind: 'transient', message: /breaks off/ })
  registry.fault = () => undefined
  const stored = registry.repository('openshift/ci')
  tag(stored, `sha256-${'a'.repeat(64)}`, putContent(stored, { manifests: many }, ociIndex))
  await t.rejects(readReferrers(repository, digest), /more than 100 referrers/)
})

await t.test('the index of the tag, and the subject of a manifest', async (t) => {
  const repository = repositoryOf(t, await startPushableRegistry(t))
  const first = withReferrers(undefined, [referrer('b')], repository, digest)
  const second = withReferrers(first, [referrer('c')], repository, digest)
  t.match(JSON.parse(second.bytes.toString()), {
    mediaType: ociIndex,
    manifests: [referrer('b'), referrer('c')],
  })
  const subject = (value: unknown) =>
    subjectOf({ ...first, bytes: Buffer.from(JSON.stringify({ subject: value })) })
  t.equal(subject({ digest }), digest)
  for (const value of [undefined, null, {}, { digest: 'x' }, { digest: 1 }])
    t.equal(subject(value), undefined)
})
