import t from 'tap'
import { kindOf, RequestCounter } from '../../../src/sandbox/quay/request-kinds.ts'
import { ask, login, quayFor, smallImage } from './quay-client.ts'

await t.test('the kind of a request by its path', (test) => {
  const rows = [
    ['/v2/', 'ping'],
    ['/v2', 'ping'],
    ['/v2/auth', 'auth'],
    ['/v2/openshift/ci/manifests/latest', 'manifests'],
    ['/v2/openshift/ci/blobs/sha256:0', 'blobs'],
    ['/v2/openshift/ci/tags/list', 'tags'],
    ['/v2/openshift/ci/referrers/sha256:0', 'referrers'],
    ['/v2/_catalog', 'other'],
    ['/', 'other'],
  ] as const
  for (const [path, kind] of rows) test.equal(kindOf(path), kind, path)
  test.end()
})

await t.test('counted with their query and their status, and handed out as a copy', (test) => {
  const counter = new RequestCounter()
  const before = counter.counts
  const request = { method: 'GET', headers: {} }
  counter.count({ ...request, origin: 'quay', url: '/v2/a/b/tags/list?n=100', status: 429 })
  counter.count({ ...request, origin: 'cdn', url: '/v2/a/b/tags/list', status: 200 })
  test.match(counter.counts, { tags: 1, cdn: 1, limited: 1 })
  test.match(before, { tags: 0, cdn: 0, limited: 0 })
  test.end()
})

await t.test('requests are counted where they are not kept', async (test) => {
  const quay = await quayFor(test, { keepRequests: false })
  quay.tag('a', await smallImage())
  const headers = await login(quay)
  test.equal((await ask(`${quay.url}/v2/openshift/ci/tags/list`, headers)).status, 200)
  test.strictSame(quay.requests, [])
  test.match(quay.counts, { auth: 1, tags: 1, limited: 0 })
})
