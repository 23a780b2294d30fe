import t from 'tap'
import { createAnonymous } from '../../src/registry/authentication/anonymous.ts'
import { routes } from '../../src/registry/routes.ts'
import { bareApp, bearer, challenge, digest, refused, routesOptions } from './fakes.ts'
import { createLoginAdvice } from '../../src/registry/authentication/login-advice.ts'

const advice = createLoginAdvice({ host: 'proxy.example' })

await t.test('the routes of the table, and no others', async (test) => {
  const app = bareApp(test)
  const served: string[] = []
  app.addHook('onRoute', ({ method, url }) => void served.push(`${String(method)} ${url}`))
  await app.register(routes, routesOptions())
  const repository = '/v2/:namespace/:name'
  test.strictSame(served, [
    'GET,HEAD /v2/auth',
    'POST /v2/auth',
    'GET,HEAD /v2/',
    'GET,HEAD /v2',
    `GET,HEAD ${repository}/manifests/:reference`,
    `GET,HEAD ${repository}/blobs/:digest`,
    `GET,HEAD ${repository}/referrers/:digest`,
    `GET,HEAD ${repository}/tags/list`,
    'GET,HEAD /v2/*',
  ])
})

await t.test('traps 14 and 15: /v2/ and /v2 are one, and challenge clients without a login', async (test) => {
  const app = bareApp(test)
  await app.register(routes, routesOptions())
  for (const url of ['/v2/', '/v2']) {
    const pong = await app.inject({ url, headers: bearer })
    test.match(pong, { statusCode: 200, payload: 'true', headers: { 'content-type': 'application/json' } })
    for (const method of ['GET', 'HEAD'] as const) {
      const { statusCode, headers } = await app.inject({ url, method })
      test.equal(statusCode, 401)
      test.match(headers['www-authenticate'], /^Bearer realm=/)
    }
  }
})

await t.test(
  'authentication, reference, authorization: a response tells no more than its stage knows',
  async (test) => {
    const app = bareApp(test)
    const { policy } = routesOptions()
    await app.register(routes, routesOptions({ policy: { ...policy, decide: async () => refused } }))
    for (const [url, headers, status] of [
      ['/v2/UPPER/x/manifests/a', {}, 401],
      ['/v2/UPPER/x/manifests/a', bearer, 400],
      ['/v2/ocp/4.5/manifests/absent', bearer, 403],
      [`/v2/ocp/4.5/blobs/${digest}`, bearer, 403],
      [`/v2/ocp/4.5/referrers/${digest}`, bearer, 403],
      ['/v2/UPPER/x/tags/list', bearer, 400],
    ] as const)
      test.equal((await app.inject({ url, headers })).statusCode, status, url)
  },
)

await t.test(
  'anonymous access: pulls succeed, the realm gives a token, the ping is a challenge',
  async (test) => {
    const app = bareApp(test)
    const { authenticate } = routesOptions()
    const anonymous = createAnonymous({
      keys: () => [new Uint8Array(32)],
      issuer: 'https://proxy.example',
      challenge,
      advice,
    })
    await app.register(routes, routesOptions({ anonymous, authenticate: anonymous.recognize(authenticate) }))
    for (const [url, status] of [
      ['/v2/', 401],
      ['/v2', 401],
      ['/v2/auth', 200],
      ['/v2/ocp/4.5/manifests/absent', 404],
      [`/v2/ocp/4.5/blobs/${digest}`, 404],
      [`/v2/ocp/4.5/referrers/${digest}`, 200],
      ['/v2/ocp/4.5/tags/list', 401],
    ] as const)
      test.equal((await app.inject({ url })).statusCode, status, url)
    const { token } = await anonymous.mint()
    for (const url of ['/v2/', '/v2/ocp/4.5/tags/list'])
      test.equal(
        (await app.inject({ url, headers: { authorization: `Bearer ${token}` } })).statusCode,
        200,
        url,
      )
  },
)

await t.test('the realm reads only forms', async (test) => {
  const app = bareApp(test)
  await app.register(routes, routesOptions())
  const payload = 'grant_type=password&username=a&password=b'
  const type = (value: string) => ({ 'content-type': value })
  const post = async (headers: Record<string, string>) =>
    (await app.inject({ method: 'POST', url: '/v2/auth', payload, headers })).statusCode
  test.equal(await post(type('application/x-www-form-urlencoded')), 200)
  test.not(await post(type('application/json')), 200)
  test.not(await post(type('text/plain')), 200)
})
