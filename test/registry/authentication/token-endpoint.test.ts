import t from 'tap'
import type { Test } from 'tap'
import formbody from '@fastify/formbody'
import type { Credential } from '../../../src/registry/authentication/credential.ts'
import { anonymousIdentity } from '../../../src/registry/authentication/anonymous.ts'
import { robotIdentity } from '../../../src/registry/authentication/robot-tokens.ts'
import { tokenHandlers, type TokenOptions } from '../../../src/registry/authentication/token-endpoint.ts'
import { RegistryError, unavailable } from '../../../src/oci/errors.ts'
import { alice, bareApp, challenge, routesOptions } from '../fakes.ts'

const realm = async (test: Test, more: Partial<TokenOptions> = {}) => {
  const seen: Credential[] = []
  const handlers = tokenHandlers({
    ...routesOptions(),
    authenticate: async (credential) => {
      seen.push(credential)
      if (credential.kind === 'none') throw challenge.unauthorized('log in first')
      return { identity: alice, bearerToken: 'token' in credential ? credential.token : undefined }
    },
    ...more,
  })
  const app = bareApp(test)
  await app.register(formbody)
  app.get('/', handlers.get)
  app.post('/', handlers.post)
  const get = async (headers: Record<string, string> = { authorization: `Basic ${btoa('a:b:tok')}` }) =>
    await app.inject({ url: '/?service=x&scope=repository:a/b:pull', headers })
  const post = async (form: string, headers: Record<string, string> = {}) => {
    const type = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
    return await app.inject({ method: 'POST', url: '/', payload: form, headers: { ...type, ...headers } })
  }
  const bare = async () => await app.inject({ method: 'POST', url: '/' })
  return { seen, get, post, bare }
}

await t.test(
  'traps 8, 10 and 11: the token in both fields, an integer lifetime, nothing else',
  async (test) => {
    const { get } = await realm(test)
    const { statusCode, headers, payload } = await get()
    test.strictSame(JSON.parse(payload), { token: 'tok', access_token: 'tok', expires_in: 3600 })
    test.match(
      { statusCode, headers },
      { statusCode: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } },
    )
  },
)

await t.test('trap 9: the announced lifetime ends before the token', async (test) => {
  const rows = [
    [600, 570],
    [100_000, 3600],
    [31.9, 1],
    [5, 1],
  ] as const
  for (const [seconds, told] of rows) {
    const { get } = await realm(test, { expiryOf: () => 1_000_000 + seconds * 1000, now: () => 1_000_000 })
    test.match(JSON.parse((await get()).payload), { expires_in: told })
  }
  const { get } = await realm(test, { expiryOf: () => Date.now() + 1_000_500 })
  const { expires_in: life } = JSON.parse((await get()).payload) as { expires_in: number }
  test.ok(life > 960 && life <= 970, String(life))
})

await t.test("the robot's password is exchanged for a robot token", async (test) => {
  const { get } = await realm(test, {
    authenticate: async () => ({ identity: robotIdentity('robot'), bearerToken: undefined }),
    robotTokens: { mint: async (username) => ({ token: `minted for ${username}`, expiresInSeconds: 60 }) },
  })
  test.match(JSON.parse((await get()).payload), { token: 'minted for robot', expires_in: 60 })
})

await t.test('no credential: an anonymous token, if allowed', async (test) => {
  const authenticate = async () => ({ identity: anonymousIdentity, bearerToken: undefined })
  const anonymous = { mint: async () => ({ token: 'for nothing', expiresInSeconds: 300 }) }
  const { get } = await realm(test, { authenticate, anonymous })
  test.match(JSON.parse((await get({})).payload), { token: 'for nothing', expires_in: 300 })
  const mistaken = await realm(test, { authenticate })
  test.equal((await mistaken.get({})).statusCode, 500, "never a robot's")
})

await t.test('no credential: the challenge', async (test) => {
  const { get } = await realm(test)
  const { statusCode, headers } = await get({})
  test.equal(statusCode, 401)
  test.match(headers['www-authenticate'], /^Bearer realm=/)
})

await t.test("trap 3: containerd's POST of a form", async (test) => {
  const { post, seen } = await realm(test)
  const form = new URLSearchParams({
    grant_type: 'password',
    service: 'x',
    client_id: 'containerd-client',
    scope: 'repository:a/b:pull repository:c/d:pull',
    username: 'system:serviceaccount:a',
    password: 'b:tok',
  })
  const { statusCode, payload } = await post(String(form))
  test.equal(statusCode, 200)
  test.match(JSON.parse(payload), { access_token: 'tok' })
  test.match(seen, [{ kind: 'basic', username: 'system:serviceaccount:a:b', token: 'tok' }])
})

await t.test('a POST with Basic, as some clients do', async (test) => {
  const { post, seen } = await realm(test)
  test.equal((await post('grant_type=password', { authorization: `Basic ${btoa('a:tok')}` })).statusCode, 200)
  test.match(seen, [{ kind: 'basic', token: 'tok' }])
})

await t.test('trap 3: a wrong POST is a 400 or a 401, so that containerd tries GET', async (test) => {
  const { post, bare, seen } = await realm(test)
  const rows = [
    ['', 400],
    ['grant_type=password', 400],
    ['grant_type=password&username=a', 400],
    ['grant_type=password&username=a&username=b&password=c', 400],
    ['grant_type=authorization_code&username=a&password=b', 400],
    ['grant_type=refresh_token&refresh_token=x', 401],
  ] as const
  for (const [form, status] of rows) test.equal((await post(form)).statusCode, status, form)
  test.equal((await bare()).statusCode, 400, 'no body at all')
  test.strictSame(seen, [])
})

await t.test(
  'an API server that does not answer: the token goes back, and the next request says why',
  async (test) => {
    const failing = (failure: Error) => ({ authenticate: async () => await Promise.reject(failure) })
    const { get, post } = await realm(test, failing(unavailable('the cluster does not answer')))
    const token = { token: 'tok', access_token: 'tok', expires_in: 60 }
    test.strictSame(JSON.parse((await get()).payload), token)
    test.strictSame(JSON.parse((await get({ authorization: 'Bearer tok' })).payload), token)
    const form = 'grant_type=password&service=x&username=a&password=tok'
    test.strictSame(JSON.parse((await post(form)).payload), token)
    test.equal((await get({})).statusCode, 503, 'no token to give back')
    for (const error of [challenge.unauthorized('no'), new RegistryError('TOOMANYREQUESTS', 'slowly')])
      test.equal((await (await realm(test, failing(error))).get()).statusCode, error.status)
    test.equal((await (await realm(test, failing(new Error('a mistake')))).get()).statusCode, 500)
  },
)
