import t from 'tap'
import { bearer } from '../registry/fakes.ts'
import { codeOf, serve } from '../server/server-options.ts'

const accept = 'text/html'

await t.test('a page has the strict policy, and no other response has one', async (test) => {
  const { get } = await serve(test)
  const { headers } = await get('/', { headers: { accept } })
  test.match(
    headers.get('content-security-policy'),
    /^default-src 'none';style-src 'sha256-[^']+';script-src 'sha256-[^']+';img-src data:;form-action 'self';base-uri 'none';frame-ancestors 'none'$/,
  )
  test.equal(headers.get('referrer-policy'), 'no-referrer')
  test.equal(headers.get('strict-transport-security'), 'max-age=15552000')
  for (const path of ['/v2/', '/healthz', '/access?image=a/b:c', '/nothing']) {
    const names = [...(await get(path, { headers: { ...bearer, accept } })).headers.keys()]
    test.strictSame(
      names.filter((name) => /security|policy|x-(?!request-id)/.test(name)),
      [],
      path,
    )
  }
})

await t.test('clients that are no browsers get what they always got', async (test) => {
  const { get } = await serve(test)
  for (const headers of [{}, { accept: '*/*' }, { accept: 'application/json' }]) {
    const answer = await get('/', { headers })
    test.strictSame([answer.status, codeOf(answer.body)], [404, 'UNSUPPORTED'])
    test.equal(answer.headers.get('content-type'), 'application/json')
    test.notOk(answer.headers.has('content-security-policy'))
    const post = await get('/', { method: 'POST', headers, body: 'image=a' })
    test.strictSame([post.status, codeOf(post.body)], [405, 'UNSUPPORTED'])
    test.match(post.body, 'this registry is pull-only')
  }
  test.equal((await get('/', { method: 'HEAD', headers: { accept } })).status, 404)
  test.equal((await get('/', { method: 'PUT', headers: { accept } })).status, 405)
  test.equal((await get('/access', { method: 'POST', headers: bearer })).status, 405)
})

await t.test('an error on the page is a page', async (test) => {
  const { get } = await serve(test)
  const { status, headers } = await get('/', {
    method: 'POST',
    headers: { accept, 'content-type': 'text/plain' },
    body: 'a',
  })
  test.equal(status, 400)
  test.match(headers.get('content-type'), 'text/html')
})
