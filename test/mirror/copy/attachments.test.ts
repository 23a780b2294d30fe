import t from 'tap'
import { copyAttachments } from '../../../src/mirror/copy/attachments.ts'
import { copyImage } from '../../../src/mirror/copy/copy-image.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { ociIndex, ociManifest, putContent, putImage, putIndex, tag } from '../../support/image-fixtures.ts'
import type { PushableRegistry, StoredRepository } from '../../support/pushable-registry.ts'
import { float, startSides, toolsOf } from './sides.ts'

interface Subject {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

/** A signature that refers to a manifest. */
const putReferrer = (stored: StoredRepository, subject: Subject, name: string) => {
  const { layers, config } = JSON.parse(
    `${stored.manifests.get(putImage(stored, name).digest)?.bytes.toString()}`,
  ) as Readonly<Record<'layers' | 'config', unknown>>
  const { mediaType, digest, size } = subject
  return putContent(stored, { config, layers, subject: { mediaType, digest, size } }, ociManifest)
}

/** Has the API: an answer from the manifests that are stored. */
const withApi = (registry: PushableRegistry, stored: StoredRepository): void => {
  registry.fault = ({ path }) => {
    const subject = /\/referrers\/(sha256:[0-9a-f]+)/.exec(path)?.[1]
    if (subject === undefined) return undefined
    const manifests = [...stored.manifests].flatMap(([digest, { mediaType, bytes }]) => {
      const content = JSON.parse(bytes.toString()) as { readonly subject?: { readonly digest: string } }
      return content.subject?.digest === subject ? [{ mediaType, digest, size: bytes.length }] : []
    })
    return { status: 200, body: JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }) }
  }
}
const tagOf = (digest: string): string => digest.replace(':', '-')

await t.test('signatures of an index and of its parts, by referrers and by tags', async (t) => {
  const { source, target, original, stored, origin, qci } = await startSides(t)
  const image = putIndex(original, 'new')
  const [child] = (
    JSON.parse(`${original.manifests.get(image.digest)?.bytes.toString()}`) as {
      manifests: readonly Subject[]
    }
  ).manifests as readonly [Subject]
  const sbom = putReferrer(original, image, 'sbom')
  const signatures = [
    putReferrer(original, sbom, 'signature of the sbom'),
    putReferrer(original, child, 'child'),
  ]
  for (const suffix of ['sig', 'att', 'sbom'])
    tag(original, `${tagOf(image.digest)}.${suffix}`, putImage(original, suffix))
  withApi(origin, original)
  withApi(qci, stored)
  const order: string[] = []
  qci.onTag = (_repository, name) => order.push(name)
  const request = { source, digest: image.digest, target, float, hasAttachments: true }
  t.match(await copyImage(toolsOf(), request), { attachments: { count: 6 } })
  for (const { digest } of [sbom, ...signatures]) t.ok(stored.manifests.has(digest))
  // Complete before somebody pulls the image.
  t.strictSame(order, [...['sig', 'att', 'sbom'].map((suffix) => `${tagOf(image.digest)}.${suffix}`), float])
  qci.requests.length = 0
  await copyImage(toolsOf(), request)
  t.ok(qci.requests.every(({ method }) => method === 'GET' || method === 'HEAD'))
})

await t.test('a registry without the API gets the tag that stands in for it', async (t) => {
  const { source, target, original, stored } = await startSides(t)
  const image = putImage(original, 'new')
  const [one, two] = [putReferrer(original, image, 'one'), putReferrer(original, image, 'two')]
  const fallback = tagOf(image.digest)
  tag(original, fallback, putContent(original, { manifests: [one, two] }, ociIndex))
  // Somebody has signed it in QCI, too.
  const theirs = putReferrer(stored, image, 'theirs')
  const before = putContent(stored, { manifests: [theirs] }, ociIndex)
  tag(stored, fallback, before)
  await copyImage(toolsOf(), { source, digest: image.digest, target, float, hasAttachments: true })
  const { manifests } = JSON.parse(
    `${stored.manifests.get(`${stored.tags.get(fallback)}`)?.bytes.toString()}`,
  ) as { readonly manifests: readonly Subject[] }
  t.strictSame(
    manifests.map(({ digest }) => digest),
    [theirs, one, two].map(({ digest }) => digest),
  )
  const kept = [...stored.tags].filter(([, digest]) => digest === before.digest).map(([name]) => name)
  t.match(kept, [/_prune___ci_images_mirror__sha256-[0-9a-f]{64}$/], 'what the tag was has a tag')
})

await t.test('attack: a 404 of a load balancer does not replace the list of referrers', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t)
  const image = putImage(original, 'new')
  const fallback = tagOf(image.digest)
  tag(
    original,
    fallback,
    putContent(original, { manifests: [putReferrer(original, image, 'one')] }, ociIndex),
  )
  const before = putContent(stored, { manifests: [putReferrer(stored, image, 'theirs')] }, ociIndex)
  tag(stored, fallback, before)
  let looks = 0
  // The first two look for the list, the third one for what is to be replaced.
  qci.fault = ({ method, path }) =>
    method === 'GET' && path.endsWith(fallback) && ++looks <= 2 ? { status: 404, body: '<html>' } : undefined
  const request = { source, digest: image.digest, target, float, hasAttachments: true }
  await t.rejects(copyImage(toolsOf(), request), { kind: 'transient', message: /somebody else has written/ })
  t.equal(stored.tags.get(fallback), before.digest)
  t.notOk(stored.tags.has(float))
})

await t.test('a signature of cosign that is replaced keeps a tag', async (t) => {
  const { source, target, original, stored } = await startSides(t)
  const image = putImage(original, 'new')
  const name = `${tagOf(image.digest)}.sig`
  const old = putImage(stored, 'old signature')
  tag(stored, name, old)
  tag(original, name, putImage(original, 'new signature'))
  await copyImage(toolsOf(), { source, digest: image.digest, target, float, hasAttachments: true })
  t.equal(stored.tags.get(name), original.tags.get(name))
  t.ok([...stored.tags].some(([tagName, digest]) => tagName.includes('_prune_') && digest === old.digest))
})

await t.test('without attachments, and where nobody asks for them', async (t) => {
  const { source, target, original, stored, origin } = await startSides(t)
  const image = putImage(original, 'new')
  const request = { source, digest: image.digest, target, float }
  tag(original, `${tagOf(image.digest)}.sig`, putImage(original, 'signature'))
  t.equal((await copyImage(toolsOf(), request)).attachments, undefined)
  t.notOk(origin.requests.some(({ path }) => /referrers|\.sig/.test(path)))
  original.tags.delete(`${tagOf(image.digest)}.sig`)
  t.strictSame((await copyImage(toolsOf(), { ...request, hasAttachments: true })).attachments, {
    count: 0,
    ofImage: [],
  })
  t.strictSame([...stored.tags.keys()], [float])
})

await t.test('an attachment that cannot be copied keeps the old image in force', async (t) => {
  const { source, target, original, stored, origin } = await startSides(t)
  const [image, other] = [putImage(original, 'new'), putImage(original, 'other')]
  const old = putImage(stored, 'old')
  tag(stored, float, old)
  const request = { source, digest: image.digest, target, float, hasAttachments: true }
  const answer = (...manifests: readonly Subject[]) => {
    origin.fault = ({ path }) =>
      path.includes('/referrers/') ? { status: 200, body: JSON.stringify({ manifests }) } : undefined
  }
  answer(putReferrer(original, other, 'of another image'))
  await t.rejects(copyImage(toolsOf(), request), { kind: 'broken', message: /to which it does not refer/ })
  // Attack: a registry that says that each signature has another one.
  let made = 0
  origin.fault = ({ path }) => {
    const digest = /\/referrers\/(sha256:[0-9a-f]+)/.exec(path)?.[1]
    if (digest === undefined) return undefined
    const subject = { mediaType: ociManifest, digest, size: 1 }
    const manifests = [putReferrer(original, subject, `${made++}`)]
    return { status: 200, body: JSON.stringify({ manifests }) }
  }
  await t.rejects(copyImage(toolsOf(), request), { kind: 'refused', message: /more than 100 attachments/ })
  t.equal(stored.tags.get(float), old.digest)
})

await t.test('attack: a referrer that is named twice is copied once', async (t) => {
  const { source, target, original, origin } = await startSides(t)
  const image = putImage(original, 'new')
  const signature = putReferrer(original, image, 'signature')
  origin.fault = ({ path }) =>
    path.includes(`/referrers/${image.digest}`)
      ? { status: 200, body: JSON.stringify({ manifests: [signature, signature] }) }
      : undefined
  const { attachments } = await copyImage(toolsOf(), {
    source,
    digest: image.digest,
    target,
    float,
    hasAttachments: true,
  })
  t.equal(attachments?.count, 2)
  const looks = origin.requests.filter(({ path }) => path.includes(`/referrers/${signature.digest}`))
  t.equal(looks.length, 1)
})

await t.test('a digest whose tags would be too long has referrers by the API alone', async (t) => {
  const { source, target, origin } = await startSides(t)
  const steps = { copyContent: async () => undefined, setTag: async () => undefined }
  const digest = `sha512:${'a'.repeat(128)}` as Digest
  t.strictSame(await copyAttachments({ source, target }, [digest], steps), { count: 0, ofImage: [] })
  t.equal(origin.requests.length, 1)
})
