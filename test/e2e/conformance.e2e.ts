import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { buildArtifact, buildImage } from '../../src/sandbox/quay/images.ts'
import { missing, plainEnv, run } from './process.ts'
import { endStack, pullByTag, startQuayStack, type QuayStack } from './stack.ts'

const suiteName = 'oci-conformance'
const skip = missing(suiteName)
const indexType = 'application/vnd.oci.image.index.v1+json'
// A push among the tests of pulling: it expects 400 or 404 for an invalid PUT. The proxy answers 405 to every PUT.
const push = '400 response body should contain OCI-conforming JSON message'

// The suite requests a manifest, not an index.
const preload = async ({ quay }: QuayStack) => {
  const image = await buildImage({
    name: 'ocp/4.5:conformance',
    platforms: ['linux/amd64'],
    layers: 1,
    layerBytes: 1024,
    format: 'oci',
  })
  quay.tag('ocp_4.5_conformance', image)
  const artifact = (artifactType: string, color: string) =>
    buildArtifact({
      subject: image,
      artifactType,
      payload: Buffer.from(`${artifactType}\n`),
      annotations: { 'org.openshift.color': color },
    })
  const referrers = [
    artifact('application/vnd.example.red.v1', 'red'),
    artifact('application/vnd.example.blue.v1', 'blue'),
  ]
  for (const [index, referrer] of referrers.entries()) quay.tagMany([`ocp_4.5_referrer-${index}`], referrer)
  const [blob] = image.blobs.keys()
  return { image, blob: blob!, referrers }
}

type TestCase = { name: string; xml: string; skipped: boolean; failed: boolean }

const testCases = (junit: string): TestCase[] =>
  [...junit.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>.*?<\/testcase>)/gs)].map(([xml, name = '']) => ({
    name,
    xml,
    skipped: xml.includes('<skipped'),
    failed: /<(?:failure|error)/.test(xml),
  }))

await test('the OCI conformance suite', { skip }, async (suite) => {
  const stack = await startQuayStack(suite)
  const { url, tokens } = stack
  const { image, blob, referrers } = await preload(stack)
  const authorization = `Bearer ${tokens.alice}`

  const repositories = [
    ['openshift/ci', 'ocp_4.5_conformance'],
    ['ocp/4.5', 'conformance'],
  ] as const
  for (const [repository, tag] of repositories)
    await suite.test(`pull and content discovery in ${repository}`, async (t) => {
      const listed = await fetch(`${url}/v2/${repository}/tags/list`, { headers: { authorization } })
      const { tags } = (await listed.json()) as { tags: string[] }
      const directory = await stack.scratch(repository.replace('/', '-'))
      const flags = ['-ginkgo.noColor', '-ginkgo.noisySkippings=false', `-ginkgo.skip=${push}`]
      const { output } = await run(suiteName, flags, {
        cwd: directory,
        env: plainEnv({
          OCI_ROOT_URL: url,
          OCI_NAMESPACE: repository,
          OCI_USERNAME: 'alice',
          OCI_PASSWORD: tokens.alice,
          OCI_TEST_PULL: '1',
          OCI_TEST_CONTENT_DISCOVERY: '1',
          OCI_TEST_PUSH: '0',
          OCI_TEST_CONTENT_MANAGEMENT: '0',
          OCI_TAG_NAME: tag,
          OCI_MANIFEST_DIGEST: image.digest,
          OCI_BLOB_DIGEST: blob,
          OCI_TAG_LIST: tags.join(','),
          ACK_GINKGO_DEPRECATIONS: '1.16.5',
        }),
      })
      const cases = testCases(await readFile(join(directory, 'junit.xml'), 'utf8'))
      const ran = cases.filter(({ skipped }) => !skipped)
      t.comment(output)
      t.comment(`left out: ${push}`)
      t.comment(`junit.xml, without the ${cases.length - ran.length} skipped:`)
      t.comment(ran.map(({ xml }) => xml).join('\n'))
      for (const { name, failed } of ran) t.notOk(failed, name)
      const inGroup = (group: string) => ran.filter(({ name }) => name.includes(` ${group} `)).length
      t.same([inGroup('Pull'), inGroup('Content Discovery')], [11, 4], 'none of them was left out')
    })

  // The suite requests referrers from 1.1 on, and only of images that it has pushed itself.
  for (const [repository] of repositories)
    await suite.test(`referrers in ${repository}`, async (t) => {
      const list = async (digest: string, query = '') => {
        const path = `/v2/${repository}/referrers/${digest}${query}`
        const response = await fetch(url + path, { headers: { authorization } })
        t.equal(response.status, 200)
        t.equal(response.headers.get('content-type'), indexType)
        const { manifests, ...rest } = (await response.json()) as { manifests: Record<string, unknown>[] }
        t.match(rest, { schemaVersion: 2, mediaType: indexType })
        const filtered = response.headers.get('oci-filters-applied')
        return { filtered, manifests }
      }
      const described = referrers.map(({ digest, body, mediaType }) => {
        const { artifactType, annotations } = JSON.parse(body.toString()) as Record<string, unknown>
        return { mediaType, digest, size: body.length, artifactType, annotations }
      })
      const byDigest = (a: { digest?: unknown }, b: { digest?: unknown }) =>
        String(a.digest).localeCompare(String(b.digest))
      // An image that nobody has pulled by tag is in no list.
      for (const index of referrers.keys()) await pullByTag(stack, `ocp_4.5_referrer-${index}`)
      const all = await list(image.digest)
      t.same(all.manifests.toSorted(byDigest), described.toSorted(byDigest))
      const red = await list(image.digest, '?artifactType=application/vnd.example.red.v1')
      t.same(red, { filtered: 'artifactType', manifests: described.slice(0, 1) })
      t.same((await list(`sha256:${'0'.repeat(64)}`)).manifests, [], 'of a subject that does not exist')
    })

  await endStack(suite, stack)
})
