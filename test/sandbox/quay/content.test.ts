import t from 'tap'
import { seedQuay } from '../../../src/sandbox/quay/content.ts'
import { ask, errorOf, login, quayFor } from './quay-client.ts'

await t.test('the sample content holds each kind of tag', async (test) => {
  const quay = await quayFor(test)
  const stock = await seedQuay(quay)
  const token = await login(quay)
  const base = stock.tags.find(({ tag }) => tag === 'ocp_4.5_base')
  const list = await ask(`${quay.url}/v2/openshift/ci/tags/list`, token)
  const { tags } = JSON.parse(list.body.toString()) as { tags: string[] }
  test.strictSame(tags, stock.tags.map(({ tag }) => tag).toSorted())
  test.strictSame(tags, [
    '20231029_sha256_' + base?.digest.slice(7),
    '20240603235401_prune_ocp_4.15_base',
    'ci_tools_latest',
    'latest',
    'my-team_app_latest',
    'ocp-priv_4.5_embargoed',
    'ocp_4.15_base',
    'ocp_4.5_base',
  ])
  for (const { tag, digest, mediaType, platforms } of stock.tags) {
    const reply = await ask(`${quay.url}/v2/openshift/ci/manifests/${tag}`, { ...token, accept: mediaType })
    test.match(reply, { status: 200, headers: { 'docker-content-digest': digest } }, tag)
    test.equal(platforms.length, tag === 'latest' ? 1 : 4)
  }
  test.equal(new Set(stock.tags.map(({ digest }) => digest)).size, 7, 'only the digest tag is a second name')
  const expired = await ask(`${quay.url}/v2/openshift/ci/manifests/${stock.expiredTag}`, token)
  test.equal(errorOf(expired), '404 TAG_EXPIRED {}')
  const referrers = await ask(`${quay.url}/v2/openshift/ci/referrers/${base?.digest}`, token)
  test.match(JSON.parse(referrers.body.toString()), { manifests: [{ digest: stock.sbom }] })
  test.equal(stock.sharedLayers.length, 4)
  for (const digest of stock.sharedLayers) {
    test.equal((await ask(`${quay.url}/v2/openshift/ci/blobs/${digest}`, token, 'HEAD')).status, 200)
  }
})
