import t from 'tap'
import { createRateLimits, LimitZone } from '../../../src/sandbox/quay/rate-limits.ts'
import { ask, basic, login, quayFor, smallImage, tokenUrl } from './quay-client.ts'

const exchange = (path: string, address?: string, authorization?: string) => ({
  method: 'GET',
  url: new URL(`http://quay${path}`),
  headers: { authorization },
  address,
  body: Buffer.alloc(0),
  fault: {},
})

await t.test('a zone lets a burst in beside what runs out of it', (test) => {
  const zone = new LimitZone({ perSecond: 5, burst: 2 })
  const take = (count: number, now: number) =>
    Array.from({ length: count }, () => zone.take('a', now)).filter(Boolean).length
  test.equal(take(10, 0), 3, 'one and the burst')
  test.equal(take(10, 200), 1, 'one in a fifth of a second')
  test.equal(take(10, 700), 2)
  test.equal(take(10, 60_000), 3, 'no more than that, however long it was empty')
  test.ok(zone.take('b', 60_000), 'each key by itself')
  test.end()
})

await t.test('each kind in its zone, by the address of the client', (test) => {
  const rows: [path: string, atOnce: number][] = [
    ['/v2/openshift/ci/manifests/latest', 11],
    ['/v2/openshift/ci/blobs/sha256:0', 51],
    ['/v2/openshift/ci/tags/list', 3],
    ['/v2/openshift/ci/referrers/sha256:0', 2],
    ['/v2/', 2],
    ['/v2/_catalog', 2],
  ]
  for (const [path, atOnce] of rows) {
    const limit = createRateLimits(() => 0)
    const passed = (address?: string) =>
      Array.from({ length: 100 }, () => limit(exchange(path, address))).filter((answer) => !answer).length
    test.equal(passed('10.0.0.1'), atOnce, path)
    test.equal(passed('10.0.0.2'), atOnce, `${path}, another address`)
    test.equal(passed(), 100, `${path}, nobody knows from where`)
  }
  const limit = createRateLimits(() => 0)
  test.equal(limit(exchange('/v2/', 'a')), undefined)
  test.equal(limit(exchange('/v2/openshift/ci/referrers/sha256:0', 'a')), undefined)
  test.equal(limit(exchange('/v2/', 'a'))?.status, 429, 'the ping and referrers are of one zone')
  test.end()
})

await t.test('the realm by the credential, and nobody without one', (test) => {
  const limit = createRateLimits(() => 0)
  const passed = (authorization?: string) =>
    Array.from({ length: 10 }, () => limit(exchange('/v2/auth', 'a', authorization))).filter(
      (answer) => !answer,
    ).length
  test.equal(passed('Basic a'), 3)
  test.equal(passed('Basic b'), 3)
  test.equal(passed(), 10)
  test.end()
})

await t.test('as quay answers it: HTML, without Retry-After, before it looks at anything', async (test) => {
  let now = Date.now()
  const quay = await quayFor(test, { limits: true, now: () => now })
  quay.tag('a', await smallImage())
  const headers = await login(quay)
  const list = `${quay.url}/v2/openshift/ci/tags/list`
  const statuses: number[] = []
  for (let index = 0; index < 4; index++) statuses.push((await ask(list, headers)).status)
  test.strictSame(statuses, [200, 200, 200, 429])
  const refused = await ask(list)
  test.equal(refused.status, 429, 'a credential does not matter')
  test.equal(refused.headers['content-type'], 'text/html')
  test.equal(refused.headers['retry-after'], undefined)
  test.match(String(refused.body), '429 Too Many Requests')
  now += 200
  test.equal((await ask(list, headers)).status, 200, 'a fifth of a second later')
  test.equal((await ask(tokenUrl(quay), basic())).status, 200, 'the realm has a zone of its own')
  test.match(quay.counts, { auth: 2, tags: 6, limited: 2, manifests: 0, cdn: 0 })
})
