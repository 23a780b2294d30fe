import t, { type Test } from 'tap'
import { bearer, challenge } from '../../registry/fakes.ts'
import { serveMirror, image, json, queue, task } from './fake-mirror.ts'

const accept = 'text/html,application/xhtml+xml,*/*;q=0.8'
const secret = `sha256~${'s'.repeat(43)}`

const browser = async (test: Test, options: Parameters<typeof serveMirror>[1] = {}) => {
  const served = await serveMirror(test, options)
  const post = async (fields: Readonly<Record<string, string>>, headers = {}) =>
    await served.get('/mirrors', {
      method: 'POST',
      headers: { accept, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(fields).toString(),
    })
  const show = async (path: string) => await served.get(path, { headers: { accept } })
  return { ...served, post, show }
}

await t.test('a program: the queue, an image, a sync', async (test) => {
  const { get, mirror, reviews, lines } = await serveMirror(test)
  const listed = await get('/mirrors?limit=2', { headers: bearer })
  test.strictSame([listed.status, JSON.parse(listed.body)], [200, queue])
  const one = await get('/mirrors/ocp/ubi%3a9', { headers: bearer })
  test.strictSame([one.status, JSON.parse(one.body)], [200, image])
  const synced = await get('/mirrors/ocp/ubi:9/sync', { method: 'POST', headers: bearer })
  test.strictSame([synced.status, JSON.parse(synced.body)], [202, image])
  test.strictSame(
    mirror.seen.map(({ method, url }) => `${method} ${url}`),
    [
      'GET /api/v1/mirrors?action=show&limit=2',
      'GET /api/v1/mirrors/ocp/ubi%3A9',
      'POST /api/v1/mirrors/ocp/ubi%3A9/sync',
    ],
  )
  test.strictSame(
    reviews.map(({ verb, path }) => `${verb} ${path}`),
    ['get /mirrors', 'get /mirrors', 'get /mirrors/ocp/ubi:9', 'post /mirrors', 'post /mirrors/ocp/ubi:9'],
  )
  test.match(
    lines.find(({ msg }) => msg === 'sync of the mirror'),
    { identity: 'alice', target: 'ocp/ubi:9' },
  )
})

await t.test('a browser: the form, then the queue, an image, a sync', async (test) => {
  const { post, show, mirror, lines } = await browser(test)
  test.match((await show('/mirrors?state=dead')).body, 'value="dead"')
  test.match((await show('/mirrors/ocp/ubi:9')).body, 'value="ocp/ubi:9"')
  test.strictSame(mirror.seen, [], 'nothing is sent without a login')
  const listed = await post({ token: ` ${secret}\n`, state: ' dead ' })
  test.equal(listed.status, 200)
  test.match(listed.body, task.source)
  test.equal(listed.headers.get('content-type'), 'text/html; charset=utf-8')
  test.equal(listed.headers.get('cache-control'), 'no-store')
  test.match((await post({ token: secret, target: ' ocp/ubi:9 ' })).body, image.explanation)
  const synced = await post({ token: secret, target: 'ocp/ubi:9', sync: 'ocp/ubi:9' })
  test.match(synced.body, 'It was compared now')
  test.strictSame(
    mirror.seen.map(({ method, url, body }) => `${method} ${url}${body}`),
    [
      'GET /api/v1/mirrors?action=show&limit=100&state=dead',
      'GET /api/v1/mirrors/ocp/ubi%3A9',
      'POST /api/v1/mirrors/ocp/ubi%3A9/sync',
    ],
  )
  for (const text of [listed.body, synced.body, JSON.stringify(lines), JSON.stringify(mirror.seen)])
    test.notMatch(text, secret)
})

await t.test('a browser: failures are pages', async (test) => {
  const { post, mirror } = await browser(test, {
    allows: ({ verb }) => verb === 'get',
    more: {
      authenticate: async (credential) => {
        if (!('token' in credential)) throw challenge.unauthorized('log in first')
        return {
          identity: { kind: 'user', key: 'a', user: { username: 'alice', groups: [], extra: {} } },
          bearerToken: credential.token,
        }
      },
    },
  })
  const nobody = await post({})
  test.equal(nobody.status, 401)
  test.notOk(nobody.headers.has('www-authenticate'), 'no dialog of the browser')
  test.match(nobody.body, '<p>log in first.</p>')
  const denied = await post({ token: secret, sync: 'ocp/ubi:9' })
  test.equal(denied.status, 403)
  test.match(denied.body, 'alice may not sync ocp/ubi:9')
  const wrong = await post({ token: secret, target: '../x:y' })
  test.strictSame([wrong.status, mirror.seen.length], [400, 0])
  test.match(wrong.body, 'value="../x:y"')
  test.equal((await post({ token: secret, limit: 'many' })).status, 400)
  const foreign = await post({ token: secret, sync: 'ocp/ubi:9' }, { 'sec-fetch-site': 'cross-site' })
  test.strictSame([foreign.status, mirror.seen.length], [403, 0], 'attack: a form of another site')
  const readable = await post({ token: secret }, { 'x-forwarded-for': '192.0.2.1' })
  test.equal(readable.status, 403)
  test.notMatch(readable.body, '<form')
  mirror.reply = json(500, {})
  test.equal((await post({ token: secret })).status, 502)
})
