import t from 'tap'
import { buildArtifact } from '../../../src/sandbox/quay/images.ts'
import { ask, errorOf, login, quayFor, smallImage } from './quay-client.ts'

await t.test('tags: sorted, by pages of 100 at most, Link absolute', async (test) => {
  const quay = await quayFor(test)
  const names = Array.from({ length: 250 }, (_, index) => `t${String(index).padStart(3, '0')}`)
  quay.tagMany(names.toReversed(), await smallImage())
  const headers = await login(quay)
  const list = `${quay.url}/v2/openshift/ci/tags/list`
  for (const start of ['', '?n=100', '?n=5000', '?n=x']) {
    const listed: string[] = []
    let next: string | undefined = `${list}${start}`
    let pages = 0
    while (next !== undefined) {
      const reply = await ask(next, headers)
      test.match(reply, { status: 200, headers: { 'content-type': 'application/json', connection: 'close' } })
      const page = JSON.parse(reply.body.toString()) as { name: string; tags: string[] }
      test.equal(page.name, 'openshift/ci')
      listed.push(...page.tags)
      pages += 1
      next = /^<(http:\/\/[^>]+)>; rel="next"$/.exec(String(reply.headers['link']))?.[1]
    }
    test.strictSame(listed, names)
    test.equal(pages, 3)
  }
  const short = await ask(`${list}?n=2&last=t001`, headers)
  test.equal(short.headers['link'], `<${list}?n=2&last=t003>; rel="next"`)
  const none = await ask(`${list}?n=0`, headers)
  test.strictSame(JSON.parse(none.body.toString()), { name: 'openshift/ci', tags: [] })
  test.equal(none.headers['link'], undefined)
})

await t.test('referrers: an index of the artifacts, filtered by type', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.tag('a', image)
  for (const artifactType of ['a/sbom', 'a/signature']) {
    quay.push(buildArtifact({ subject: image, artifactType, payload: Buffer.from(artifactType) }))
  }
  const headers = await login(quay)
  const url = `${quay.url}/v2/openshift/ci/referrers/${image.digest}`
  const index = 'application/vnd.oci.image.index.v1+json'
  const all = await ask(url, headers)
  test.equal(all.headers['content-type'], index)
  test.equal(all.headers['oci-filters-applied'], undefined)
  test.match(JSON.parse(all.body.toString()), {
    schemaVersion: 2,
    mediaType: index,
    manifests: [{ artifactType: 'a/sbom' }, { artifactType: 'a/signature' }],
  })
  const filtered = await ask(`${url}?artifactType=a%2Fsignature`, headers)
  test.equal(filtered.headers['oci-filters-applied'], 'artifactType')
  const { manifests } = JSON.parse(filtered.body.toString()) as { manifests: object[] }
  test.match(manifests, [{ artifactType: 'a/signature' }])
  test.equal(manifests.length, 1)
  test.equal((await ask(url, headers, 'HEAD')).status, 405)
  const unknown = `${quay.url}/v2/openshift/ci/referrers/sha256:${'0'.repeat(64)}`
  test.equal(errorOf(await ask(unknown, headers)), '400 MANIFEST_INVALID {}')
})

await t.test('referrers in pages, if requested', async (test) => {
  const quay = await quayFor(test, { referrersPage: 2 })
  const image = await smallImage()
  quay.tag('a', image)
  const types = ['a/1', 'a/2', 'a/3', 'b/4', 'a/5']
  for (const artifactType of types)
    quay.push(buildArtifact({ subject: image, artifactType, payload: Buffer.from(artifactType) }))
  const headers = await login(quay)
  const walk = async (start: string) => {
    const pages: string[][] = []
    for (let next: string | undefined = start; next !== undefined;) {
      const reply = await ask(next, headers)
      const { manifests } = JSON.parse(reply.body.toString()) as { manifests: { artifactType: string }[] }
      pages.push(manifests.map(({ artifactType }) => artifactType))
      next = /^<(http:\/\/[^>]+)>; rel="next"$/.exec(String(reply.headers['link']))?.[1]
    }
    return pages
  }
  const url = `${quay.url}/v2/openshift/ci/referrers/${image.digest}`
  test.strictSame(await walk(url), [['a/1', 'a/2'], ['a/3', 'b/4'], ['a/5']])
  test.strictSame(await walk(`${url}?artifactType=b%2F4`), [['b/4']], 'a filter goes along')
})
