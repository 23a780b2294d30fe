import t from 'tap'
import { familyNamespaces, stockFamilies } from '../../../src/sandbox/quay/families.ts'
import { ask, login, quayFor } from './quay-client.ts'

await t.test('every family of tags, of an open and of a restricted namespace', async (test) => {
  const quay = await quayFor(test)
  const families = await stockFamilies(quay)
  const token = await login(quay)
  const accept = ['image.manifest', 'artifact.manifest'].map((type) => `application/vnd.oci.${type}.v1+json`)
  for (const { tag, digest } of families.tags) {
    const reply = await ask(`${quay.url}/v2/openshift/ci/manifests/${tag}`, {
      ...token,
      accept: accept.join(),
    })
    test.match(reply, { status: 200, headers: { 'docker-content-digest': digest } }, tag)
  }
  const shapes = families.tags
    .map(
      ({ tag, owner }) =>
        `${owner}: ${tag.replaceAll(/[0-9a-f]{64}/g, 'HEX').replaceAll(/[0-9a-f]{16}/g, 'HEX16')}`,
    )
    .toSorted()
  const payload = (kind: string) => `rc_payload__4.20.0-0.${kind}-2026-11-01-000000`
  const ofNamespace = (namespace: string) => [
    `namespace: ${namespace}_4.20_base`,
    `namespace: 20240101120000_prune_${namespace}_4.20_base`,
    `namespace: 20240101120001_prune___ci_images_mirror__${namespace}_4.20_base`,
    `namespace: art__${namespace}_4.20_base`,
    `namespace: 20240101120002_prune_art__${namespace}_4.20_base`,
    ...['_incoming', '__pre', '__post1'].map((staged) => `namespace: ${namespace}_4.20_base${staged}`),
    `namespace: tomorrow__${namespace}_4.20_base`,
    'nobody: art__HEX16',
    'nobody: art-builder-HEX16',
    'digest: 20240101_sha256_HEX',
    ...['sig', 'att', 'sbom'].map((kind) => `digest: sha256-HEX.${kind}`),
  ]
  const markers = (kind: string) =>
    [
      payload(kind),
      `${payload(kind)}__component__base`,
      `preserved__${payload(kind)}`,
      `remove__${payload(kind)}`,
    ].map((tag) => `nobody: ${tag}`)
  test.strictSame(
    shapes,
    [
      ...ofNamespace('ocp'),
      ...ofNamespace('ocp-priv'),
      ...markers('ci'),
      ...markers('nightly'),
      'namespace: ocp-priv_advisory_latest',
      'namespace: ocp-priv_sbom_of-open',
    ].toSorted(),
  )
})

await t.test('copies are older images, and all stand on one layer', async (test) => {
  const quay = await quayFor(test)
  const { tags, sharedLayer, restrictedBlob, restrictedReferrer } = await stockFamilies(quay)
  const token = await login(quay)
  const { open, restricted } = familyNamespaces
  const manifestOf = async (digest: string) =>
    String((await ask(`${quay.url}/v2/openshift/ci/manifests/${digest}`, token)).body)
  const digestOf = (name: string) => tags.find(({ tag }) => tag === name)!.digest
  for (const namespace of [open, restricted]) {
    const live = digestOf(`${namespace}_4.20_base`)
    test.match(await manifestOf(live), sharedLayer)
    const copies = tags.filter(
      ({ tag }) => /_prune_|^art__/.test(tag) && tag.endsWith(`${namespace}_4.20_base`),
    )
    test.equal(copies.length, 4)
    test.equal(new Set([live, ...copies.map(({ digest }) => digest)]).size, 5)
    for (const { digest } of copies) test.match(await manifestOf(digest), sharedLayer)
  }
  test.match(await manifestOf(digestOf(`${restricted}_advisory_latest`)), restrictedBlob)
  const openDigest = digestOf(`${open}_4.20_base`)
  const referrers = await ask(`${quay.url}/v2/openshift/ci/referrers/${openDigest}`, token)
  test.match(JSON.parse(String(referrers.body)), { manifests: [{ digest: restrictedReferrer }] })
})
