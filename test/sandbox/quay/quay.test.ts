import t from 'tap'
import { buildArtifact, buildTinyImage } from '../../../src/sandbox/quay/artifacts.ts'
import { Agent, request } from 'undici'
import { ask, basic, errorOf, login, quayFor, robot, smallImage, tokenUrl } from './quay-client.ts'
import { selfSigned } from '../../support/tls.ts'

await t.test('requests to both origins are recorded, and a credential at the CDN is a leak', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.tag('a', image)
  const token = await login(quay)
  const [digest = ''] = image.blobs.keys()
  const { headers } = await ask(`${quay.url}/v2/openshift/ci/blobs/${digest}`, token)
  const location = String(headers['location'])
  test.equal((await ask(location)).status, 200)
  test.strictSame(quay.leaks, [])
  test.equal((await ask(location, token)).status, 400)
  test.equal((await ask(location, { cookie: 'a=b' })).status, 400)
  test.strictSame(
    quay.requests.map(({ origin, status }) => `${origin} ${status}`),
    ['quay 200', 'quay 302', 'cdn 200', 'cdn 400', 'cdn 400'],
  )
  test.strictSame(quay.leaks, quay.requests.slice(3))
})

await t.test('tags come and go, in bulk too; the robot is rotated', async (test) => {
  const quay = await quayFor(test)
  quay.tagMany(['a', 'b'], await smallImage())
  quay.untag('a')
  const token = await login(quay)
  const list = await ask(`${quay.url}/v2/openshift/ci/tags/list`, token)
  test.strictSame(JSON.parse(list.body.toString()), { name: 'openshift/ci', tags: ['b'] })
  quay.setRobot({ ...robot, password: 'next' })
  test.equal(errorOf(await ask(tokenUrl(quay), basic())), '401 UNAUTHORIZED {}')
  test.equal((await ask(tokenUrl(quay), basic({ ...robot, password: 'next' }))).status, 200)
  test.equal((await ask(`${quay.url}/v2/`, token)).status, 200, 'a token outlives the rotation')
})

await t.test(
  'limits, an order of its own, lazy content, pages of referrers, and counts without requests',
  async (test) => {
    const quay = await quayFor(test, {
      now: () => 0,
      limits: true,
      collation: 'text',
      referrersPage: 1,
      keepRequests: false,
    })
    const subject = buildTinyImage({ name: 'B' })
    quay.tagLazily(['b', 'B', 'a_c'], (name) => buildTinyImage({ name }))
    for (const artifactType of ['x/y', 'x/z'])
      quay.push(buildArtifact({ subject, artifactType, payload: Buffer.from('x') }))
    const token = await login(quay)
    const list = `${quay.url}/v2/openshift/ci/tags/list`
    test.match(JSON.parse(String((await ask(list, token)).body)), { tags: ['a_c', 'b', 'B'] })
    const referrers = await ask(`${quay.url}/v2/openshift/ci/referrers/${subject.digest}`, token)
    test.match(String(referrers.headers['link']), /^<http:.*from=1>; rel="next"$/)
    const statuses = [await ask(list, token), await ask(list, token), await ask(list, token)]
    test.strictSame(
      statuses.map(({ status }) => status),
      [200, 200, 429],
    )
    test.strictSame(quay.requests, [])
    test.match(quay.counts, { auth: 1, tags: 4, referrers: 1, limited: 1 })
  },
)

await t.test('faults come and go', async (test) => {
  const quay = await quayFor(test)
  quay.fault({ origin: 'quay', path: /^\/v2\/$/, status: 429, count: Infinity })
  test.equal((await ask(`${quay.url}/v2/`)).status, 429)
  test.equal((await ask(`${quay.url}/v2/`)).status, 429)
  quay.clearFaults()
  test.equal((await ask(`${quay.url}/v2/`)).status, 401)
})

await t.test('the redirect of a blob can be bent', async (test) => {
  const quay = await quayFor(test, { repository: 'a/b' })
  const image = await smallImage()
  quay.push(image)
  const token = await login(quay)
  const [digest = ''] = image.blobs.keys()
  quay.fault({ origin: 'quay', path: /\/blobs\//, redirectTo: 'http://169.254.169.254/latest' })
  const reply = await ask(`${quay.url}/v2/a/b/blobs/${digest}`, token)
  test.match(reply, {
    status: 302,
    headers: { location: 'http://169.254.169.254/latest', 'docker-content-digest': digest },
  })
})

await t.test('over TLS, both origins are https and bear the host name', async (test) => {
  const tls = selfSigned()
  const quay = await quayFor(test, { tls, host: 'localhost' })
  test.match([quay.url, quay.cdnUrl], [/^https:\/\/localhost:\d+$/, /^https:\/\/localhost:\d+$/])
  const dispatcher = new Agent({ connect: { ca: tls.cert } })
  test.teardown(() => dispatcher.destroy())
  const { statusCode, headers, body } = await request(`${quay.url}/v2/`, { dispatcher })
  await body.dump()
  test.equal(statusCode, 401)
  test.match(headers['www-authenticate'], `realm="${quay.url}/v2/auth"`)
})

await t.test('close ends every socket and frees the ports', async (test) => {
  const quay = await quayFor(test)
  quay.fault({ origin: 'quay', path: /./, hang: true })
  const hanging = test.rejects(ask(quay.url))
  while (quay.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await quay.close()
  await hanging
  await test.rejects(ask(quay.url))
  await test.rejects(ask(quay.cdnUrl))
})

await t.test('a robot that pushes, where there is one', async (test) => {
  const pusher = { username: 'writer', password: 'w', mayPush: true }
  const quay = await quayFor(test, { pusher })
  const uploads = `${quay.url}/v2/${quay.repository}/blobs/uploads/`
  test.equal((await ask(uploads, {}, 'POST')).status, 401)
  const scopes = [`repository:${quay.repository}:pull,push`]
  const { body } = await ask(tokenUrl(quay, scopes), basic(pusher))
  const { token } = JSON.parse(body.toString()) as { readonly token: string }
  test.equal((await ask(uploads, { authorization: `Bearer ${token}` }, 'POST')).status, 202)
  test.equal((await ask(uploads, await login(quay, scopes), 'POST')).status, 401, 'the other one only pulls')
})
