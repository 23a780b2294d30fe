import t from 'tap'
import { unavailable } from '../../../src/oci/errors.ts'
import { bearer, raw } from '../../registry/fakes.ts'
import { codeOf, cut, serve } from '../../server/server-options.ts'
import { serveMirror } from './fake-mirror.ts'

const accept = 'text/html'

await t.test('without a mirror there is no path of it', async (test) => {
  const { get } = await serve(test)
  for (const path of ['/mirrors', '/mirrors/ocp/ubi:9'])
    test.equal((await get(path, { headers: bearer })).status, 404)
  const post = await get('/mirrors/ocp/ubi:9/sync', { method: 'POST', headers: bearer })
  test.strictSame([post.status, post.headers.get('allow')], [405, 'GET, HEAD'])
})

await t.test(
  'a login is required, and nothing is sent to the mirror before a review allows it',
  async (test) => {
    const { get, mirror, reviews } = await serveMirror(test, { allows: () => false })
    const requests = [
      ['GET', '/mirrors'],
      ['GET', '/mirrors/ocp/ubi:9'],
      ['POST', '/mirrors/ocp/ubi:9/sync'],
      ['GET', '/mirrors/ocp/..%2fubi:9'],
    ] as const
    for (const [method, path] of requests) {
      const nobody = await get(path, { method })
      test.strictSame([nobody.status, codeOf(nobody.body)], [401, 'UNAUTHORIZED'], path)
      test.match(nobody.headers.get('www-authenticate'), /^Bearer/)
    }
    test.strictSame(reviews, [])
    for (const [method, path] of requests.slice(0, 3)) {
      const denied = await get(path, { method, headers: bearer })
      test.strictSame([denied.status, codeOf(denied.body)], [403, 'DENIED'], path)
      test.match(denied.headers.get('x-request-id'), /^[0-9a-f-]{36}$/)
    }
    const browser = await get('/mirrors/ocp/ubi:9/sync', { method: 'POST', headers: { accept } })
    test.equal(browser.status, 401, 'a browser without a token')
    test.strictSame(mirror.seen, [])
  },
)

await t.test('while the API server is unavailable nothing is open', async (test) => {
  const { get, mirror } = await serveMirror(test, {
    allows: () => {
      throw unavailable('the cluster does not answer')
    },
  })
  for (const [method, path] of [
    ['GET', '/mirrors'],
    ['POST', '/mirrors/ocp/ubi:9/sync'],
  ] as const) {
    const answer = await get(path, { method, headers: bearer })
    test.strictSame([answer.status, answer.headers.get('retry-after')], [503, '5'])
  }
  test.strictSame(mirror.seen, [])
})

await t.test('the methods of each path', async (test) => {
  const { get, port, mirror } = await serveMirror(test)
  const rows = [
    ['/mirrors', 'GET, POST', ['GET']],
    ['/mirrors/ocp/ubi:9', 'GET', ['GET']],
    ['/mirrors/ocp/ubi:9/sync', 'POST', ['POST']],
  ] as const
  for (const [path, allow, served] of rows)
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      mirror.seen.length = 0
      const answer = await get(path, { method, headers: bearer })
      const isServed = (served as readonly string[]).includes(method)
      test.equal(answer.status === 405, !isServed, `${method} ${path}: ${answer.status}`)
      if (!isServed) test.equal(answer.headers.get('allow'), allow)
      test.equal(mirror.seen.length, Number(isServed))
    }
  for (const target of ['*', 'http://127.0.0.1/mirrors', '//mirrors', '/mirrors/../mirrors'])
    test.match(
      cut(await raw(port, `GET ${target} HTTP/1.1\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n`))
        .head,
      /^http\/1.1 40[04]/,
      target,
    )
})

await t.test('attack: an escaped path, which the router decodes before it compares it', async (test) => {
  const { get, mirror, reviews, lines } = await serveMirror(test)
  const rows = [
    ['GET', '/%6Dirrors'],
    ['GET', '/%6Dirrors/ocp/ubi:9'],
    ['GET', '/mirrors/ocp%2fubi%3A9'],
    ['GET', '/%6Dirrors/ocp/..%2fubi:9'],
    ['GET', '/mirrors/ocp%252fubi:9'],
    ['POST', '/mirror%73/ocp/ubi:9/%73ync'],
    ['POST', '/mirrors/ocp/ubi:9%2Fsync'],
  ] as const
  for (const [method, path] of rows) {
    const nobody = await get(path, { method })
    test.strictSame([nobody.status, codeOf(nobody.body)], [401, 'UNAUTHORIZED'], path)
    const page = await get(path, { method, headers: { accept } })
    test.equal(page.status, method === 'GET' ? 400 : 401, path)
    const answer = await get(path, { method, headers: bearer })
    test.strictSame([answer.status, codeOf(answer.body)], [400, 'NAME_INVALID'], path)
    const put = await get(path, { method: 'PUT', headers: bearer })
    test.strictSame([put.status, put.headers.get('allow')?.includes(method)], [405, true], path)
  }
  test.strictSame([mirror.seen.length, reviews.length], [0, 0])
  test.notMatch(JSON.stringify(lines), 'TypeError')
  test.equal((await get('/mirrors/ocp/ubi%3a9?x=%6D', { headers: bearer })).status, 200)
})

await t.test('pages have the strict policy, and answers to programs have none', async (test) => {
  const { get } = await serveMirror(test)
  for (const path of ['/mirrors', '/mirrors/ocp/ubi:9', '/mirrors/..'])
    test.match(
      (await get(path, { headers: { accept } })).headers.get('content-security-policy'),
      /^default-src 'none';/,
    )
  for (const path of ['/mirrors', '/mirrors/ocp/ubi:9', '/v2/'])
    test.notOk(
      (await get(path, { headers: { ...bearer, accept } })).headers.has('content-security-policy'),
      path,
    )
})

await t.test('a bug of the proxy is answered as everywhere', async (test) => {
  const { get } = await serveMirror(test, {
    allows: () => {
      throw new TypeError('hunter2')
    },
  })
  const post = await get('/mirrors', {
    method: 'POST',
    headers: { accept, 'content-type': 'application/x-www-form-urlencoded' },
    body: 'token=x',
  })
  test.equal(post.status, 503)
  test.notMatch(post.body, 'hunter2')
})
