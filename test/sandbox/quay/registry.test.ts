import t from 'tap'
import { ask, errorOf, login, quayFor, smallImage } from './quay-client.ts'

const challengeOf = (url: string): string =>
  `Bearer realm="${url}/v2/auth",service="${new URL(url).host}",scope="repository:openshift/ci:pull"`

await t.test('the ping answers true to a robot, and a challenge to nobody', async (test) => {
  const quay = await quayFor(test)
  const version = { 'docker-distribution-api-version': 'registry/2.0' }
  const anonymous = await ask(`${quay.url}/v2/`)
  test.equal(errorOf(anonymous), '401 UNAUTHORIZED {}')
  const realm = `Bearer realm="${quay.url}/v2/auth",service="${new URL(quay.url).host}"`
  test.match(anonymous.headers, { ...version, 'www-authenticate': realm })
  const reply = await ask(`${quay.url}/v2/`, await login(quay, []))
  test.match(reply, { status: 200, headers: version })
  test.equal(String(reply.body), 'true')
})

await t.test('a manifest by tag needs its very media type in Accept', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.tag('a', image)
  const token = await login(quay)
  const url = `${quay.url}/v2/openshift/ci/manifests/a`
  for (const method of ['GET', 'HEAD']) {
    const accept = `application/json;q=0.1, ${image.mediaType};q=0.5`
    const reply = await ask(url, { ...token, accept }, method)
    test.match(reply, {
      status: 200,
      headers: {
        'content-type': image.mediaType,
        'docker-content-digest': image.digest,
        'content-length': String(image.body.length),
      },
    })
    test.ok(reply.body.equals(method === 'GET' ? image.body : Buffer.alloc(0)))
  }
  for (const accept of ['*/*', 'application/vnd.oci.image.manifest.v1+json']) {
    test.equal(errorOf(await ask(url, { ...token, accept })), '404 MANIFEST_UNKNOWN {}')
  }
  test.equal((await ask(url, token)).status, 404)
})

await t.test('a manifest by digest is given whatever Accept says', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.push(image)
  const token = await login(quay)
  for (const { digest, body } of image.manifests) {
    for (const written of [digest, digest.replace(':', '%3A')]) {
      test.ok((await ask(`${quay.url}/v2/openshift/ci/manifests/${written}`, token)).body.equals(body))
    }
  }
})

await t.test('missing content', async (test) => {
  const quay = await quayFor(test)
  quay.tag('gone', await smallImage())
  quay.untag('gone')
  const token = await login(quay)
  const rows = [
    ['openshift/ci/manifests/gone', '404 TAG_EXPIRED {}'],
    ['openshift/ci/manifests/never', '404 MANIFEST_UNKNOWN {}'],
    [`openshift/ci/manifests/sha256:${'0'.repeat(64)}`, '404 MANIFEST_UNKNOWN {}'],
    [`openshift/ci/blobs/sha256:${'0'.repeat(64)}`, '404 BLOB_UNKNOWN {}'],
    ['other/repo/manifests/a', '404 NAME_UNKNOWN {}'],
    ['other/repo/tags/list', '404 NAME_UNKNOWN {}'],
  ] as const
  for (const [path, expected] of rows)
    test.equal(errorOf(await ask(`${quay.url}/v2/${path}`, token)), expected)
  for (const path of ['/', '/v1/search', '/v2/_catalog', '/v2/openshift/ci/tags/other']) {
    test.match(await ask(quay.url + path, token), { status: 404, headers: { 'content-type': 'text/html' } })
  }
})

await t.test('without a grant everything is 401 with the challenge', async (test) => {
  const quay = await quayFor(test)
  const url = `${quay.url}/v2/openshift/ci/manifests/a`
  for (const headers of [{}, await login(quay, []), await login(quay, ['repository:other/repo:pull'])]) {
    const reply = await ask(url, headers)
    test.equal(errorOf(reply), '401 UNAUTHORIZED {}')
    test.equal(reply.headers['www-authenticate'], challengeOf(quay.url))
  }
  const invalid = await ask(url, { authorization: 'Bearer a.b.c' })
  test.equal(invalid.status, 401)
  test.equal(invalid.headers['www-authenticate'], challengeOf(quay.url))
  test.strictSame(JSON.parse(invalid.body.toString()), { error: 'Invalid or expired token' })
})

await t.test('a write is 405', async (test) => {
  const quay = await quayFor(test)
  for (const method of ['PUT', 'DELETE', 'POST']) {
    test.equal((await ask(`${quay.url}/v2/openshift/ci/manifests/a`, await login(quay), method)).status, 405)
  }
})

await t.test('a blob: HEAD here, GET by a redirect to the CDN', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.tag('a', image)
  const token = await login(quay)
  for (const [digest, body] of image.blobs) {
    const url = `${quay.url}/v2/openshift/ci/blobs/${digest}`
    const common = { 'docker-content-digest': digest, 'accept-ranges': 'bytes', connection: 'close' }
    const head = await ask(url, token, 'HEAD')
    test.match(head, { status: 200, headers: { ...common, 'content-length': String(body.length) } })
    test.equal(head.headers['location'], undefined)
    const redirect = await ask(url, token)
    test.match(redirect, { status: 302, headers: common })
    const location = String(redirect.headers['location'])
    test.match(location, /[?&]username=openshift%2Bci_pull&/)
    test.ok(location.startsWith(`${quay.cdnUrl}/`))
    const reply = await ask(location)
    test.ok(reply.body.equals(body))
    test.equal(reply.headers['docker-content-digest'], undefined)
  }
})

await t.test('the lists: tags by GET and HEAD, referrers by GET alone', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.tag('a', image)
  const token = await login(quay)
  for (const [path, head] of [
    ['tags/list', 200],
    [`referrers/${image.digest}`, 405],
  ] as const) {
    test.equal((await ask(`${quay.url}/v2/openshift/ci/${path}`, token)).status, 200)
    test.equal((await ask(`${quay.url}/v2/openshift/ci/${path}`, token, 'HEAD')).status, head)
  }
})
