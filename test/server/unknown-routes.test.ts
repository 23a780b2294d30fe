import t from 'tap'
import { bearer, raw } from '../registry/fakes.ts'
import { serveMirror } from '../page/mirror-queue/fake-mirror.ts'
import { codeOf, cut, serve } from './server-options.ts'

await t.test(
  'trap 4: without a credential every path below /v2/ gets the challenge, for every method',
  async (test) => {
    const { get } = await serve(test)
    const paths = [
      '/v2/',
      '/v2',
      '/v2/_catalog',
      '/v2/a/b/blobs/uploads/?mount=x',
      '/v2?ns=quay.io',
      '/%762/_catalog',
    ]
    for (const path of paths)
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const { status, headers, body } = await get(path, { method })
        test.equal(status, 401, `${method} ${path}`)
        test.match(headers.get('www-authenticate'), /^Bearer realm="[^"]+",service="[^"]+"$/)
        test.equal(headers.get('content-type'), 'application/json')
        if (method !== 'HEAD') test.equal(codeOf(body), 'UNAUTHORIZED')
      }
  },
)

await t.test('other paths and methods get UNSUPPORTED with a hint', async (test) => {
  const { get } = await serve(test)
  const rows = [
    ['GET', '/v2/_catalog', 404, 'GET, HEAD'],
    ['GET', '/', 404, 'GET, HEAD'],
    ['PUT', '/v2/ocp/4.5/manifests/base', 405, 'GET, HEAD'],
    ['POST', '/v2/ocp/4.5/blobs/uploads/', 405, 'GET, HEAD'],
    ['DELETE', '/v2/auth?a', 405, 'GET, HEAD, POST'],
  ] as const
  for (const [method, path, status, allow] of rows) {
    const answer = await get(path, { method, headers: bearer })
    test.equal(answer.status, status, `${method} ${path}`)
    test.equal(answer.headers.get('allow'), allow)
    test.equal(codeOf(answer.body), 'UNSUPPORTED')
    test.match(answer.headers.get('x-request-id'), /^[0-9a-f-]{36}$/)
    test.equal(answer.headers.get('docker-distribution-api-version'), 'registry/2.0')
  }
})

await t.test('no forward proxy', async (test) => {
  const { port } = await serve(test)
  const { head, body } = cut(
    await raw(port, 'GET http://elsewhere/v2/ HTTP/1.1\r\nConnection: close\r\n\r\n'),
  )
  test.match(head, 'http/1.1 404')
  test.equal(codeOf(body), 'UNSUPPORTED')
})

await t.test('paths with other methods than pulls have', async (test) => {
  const { port, get } = await serveMirror(test)
  const post = await get('/mirrors', { method: 'PUT', headers: bearer })
  test.strictSame([post.status, post.headers.get('allow')], [405, 'GET, POST'])
  test.match(post.body, 'this path takes GET, POST only')
  test.equal((await get('/nothing', { headers: bearer })).status, 404)
  const absolute = 'PUT http://elsewhere/mirrors HTTP/1.1\r\nConnection: close\r\n\r\n'
  test.match(cut(await raw(port, absolute)).head, 'allow: get, head\r\n')
})
