import t from 'tap'
import { scopeOf, Tokens, type TokensOptions } from '../../../src/mirror/registry/tokens.ts'

const scopes = [scopeOf('openshift/ci', 'pull,push')]
const challenge = 'Bearer realm="https://quay.io/v2/auth",service="quay.io"'
const credential = { username: 'robot', password: 'secret' }

const tokensOf = (options: Partial<TokensOptions> = {}) => {
  const requests: (readonly [string, string | undefined])[] = []
  let now = 0
  const tokens = new Tokens({
    origin: new URL('https://quay.io'),
    credential,
    now: () => now,
    get: async (url, authorization) => {
      requests.push([url.href, authorization])
      return { status: 200, body: JSON.stringify({ token: `t${requests.length}`, expires_in: 100 }) }
    },
    ...options,
  })
  return { tokens, requests, pass: (ms: number) => (now += ms) }
}

await t.test('no token before the registry asks for one', async (t) => {
  const { tokens, requests } = tokensOf()
  t.equal(await tokens.authorization(scopes), undefined)
  t.equal(requests.length, 0)
  t.equal(tokens.challenged(undefined, scopes, undefined), false)
  t.equal(tokens.challenged('Negotiate', scopes, undefined), false)
})

await t.test('one token for each set of scopes, one request at a time', async (t) => {
  const { tokens, requests } = tokensOf()
  t.ok(tokens.challenged(challenge, scopes, undefined))
  t.strictSame(await Promise.all([1, 2, 3].map(async () => await tokens.authorization(scopes))), [
    'Bearer t1',
    'Bearer t1',
    'Bearer t1',
  ])
  t.strictSame(requests, [
    [
      'https://quay.io/v2/auth?service=quay.io&scope=repository%3Aopenshift%2Fci%3Apull%2Cpush',
      `Basic ${Buffer.from('robot:secret').toString('base64')}`,
    ],
  ])
  t.equal(await tokens.authorization([...scopes, scopeOf('a/b', 'pull')]), 'Bearer t2')
  t.equal(await tokens.authorization(scopes), 'Bearer t1')
})

await t.test('a token that ends, or that is refused', async (t) => {
  const { tokens, pass } = tokensOf()
  tokens.challenged(challenge, scopes, undefined)
  t.equal(await tokens.authorization(scopes), 'Bearer t1')
  pass(69_000)
  t.equal(await tokens.authorization(scopes), 'Bearer t1')
  pass(2000)
  t.equal(await tokens.authorization(scopes), 'Bearer t2')
  tokens.challenged(challenge, scopes, 'Bearer t1')
  t.equal(await tokens.authorization(scopes), 'Bearer t2', 'an older one was refused')
  tokens.challenged(challenge, scopes, 'Bearer t2')
  t.equal(await tokens.authorization(scopes), 'Bearer t3')
})

await t.test('anonymous, and with user and password', async (t) => {
  const anonymous = tokensOf({ credential: undefined })
  anonymous.tokens.challenged('Bearer realm="https://auth.example.org/token"', scopes, undefined)
  t.equal(await anonymous.tokens.authorization(scopes), 'Bearer t1', 'a realm elsewhere gets no secret')
  t.equal(anonymous.requests[0]?.[1], undefined)
  anonymous.tokens.challenged('Basic realm="x"', [], undefined)
  await t.rejects(anonymous.tokens.authorization([]), {
    name: 'RegistryFailure',
    kind: 'refused',
    message: /wants a login/,
  })
  const basic = tokensOf()
  basic.tokens.challenged('Basic realm="x"', scopes, undefined)
  t.match(await basic.tokens.authorization(scopes), /^Basic /)
  t.equal(basic.requests.length, 0)
})

await t.test('attack: a realm elsewhere does not get the password', async (t) => {
  for (const realm of ['https://evil.example.org/token', 'http://quay.io/v2/auth', 'nonsense']) {
    const { tokens, requests } = tokensOf()
    tokens.challenged(`Bearer realm="${realm}"`, scopes, undefined)
    await t.rejects(tokens.authorization(scopes), { name: 'RegistryFailure', kind: 'broken' }, realm)
    t.equal(requests.length, 0)
  }
  const { tokens } = tokensOf({ credential: undefined })
  tokens.challenged('Bearer realm="http://evil.example.org"', scopes, undefined)
  await t.rejects(tokens.authorization(scopes), { name: 'RegistryFailure', kind: 'broken' })
  tokens.challenged('Bearer service="x"', scopes, undefined)
  await t.rejects(
    tokens.authorization(scopes),
    { name: 'RegistryFailure', kind: 'broken' },
    'no realm at all',
  )
})

await t.test('no token', async (t) => {
  for (const [status, body, kind] of [
    [401, '', 'refused'],
    [403, '', 'refused'],
    [500, '', 'transient'],
    [200, '<html>', 'transient'],
    [200, '{}', 'transient'],
  ] as const) {
    const { tokens } = tokensOf({ get: async () => ({ status, body }) })
    tokens.challenged(challenge, scopes, undefined)
    await t.rejects(tokens.authorization(scopes), { name: 'RegistryFailure', kind }, `${status} ${body}`)
  }
})
