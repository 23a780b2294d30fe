import { decodeJwt, decodeProtectedHeader } from 'jose'
import t from 'tap'
import { apiAudience, createTokens } from '../../../src/sandbox/app-ci/tokens.ts'

const start = Date.parse('2026-11-20T12:00:00Z')

const prepared = () => {
  const clock = { now: start }
  return { clock, tokens: createTokens({ now: () => clock.now }) }
}

const alice = { username: 'alice', uid: 'u-1', groups: ['pullers'] }

await t.test('an OAuth token', async (test) => {
  const { clock, tokens } = prepared()
  const token = tokens.issueUserToken(alice)
  test.match(token, /^sha256~[\w-]{43}$/)
  test.not(tokens.issueUserToken(alice), token)
  const known = {
    authenticated: true,
    user: {
      username: 'alice',
      uid: 'u-1',
      groups: ['pullers', 'system:authenticated:oauth', 'system:authenticated'],
      extra: { 'scopes.authorization.openshift.io': ['user:full'] },
    },
    audiences: [apiAudience],
  }
  test.same(tokens.authenticate(token, [apiAudience]), known)
  test.same(tokens.authenticate(token, ['quay-proxy', apiAudience]), known)
  test.same(tokens.authenticate(token, ['quay-proxy']), {
    authenticated: false,
    error: 'invalid bearer token',
  })

  clock.now += 86_400_000 - 1
  test.ok(tokens.authenticate(token, [apiAudience]).authenticated)
  clock.now += 1
  test.same(tokens.authenticate(token, [apiAudience]), {
    authenticated: false,
    error: '[invalid bearer token, token is expired]',
  })
})

await t.test('the review of an OAuth token', async (test) => {
  const { clock, tokens } = prepared()
  const groups = ['system:authenticated', 'system:cluster-admins']
  const token = tokens.issueUserToken({
    username: 'kube:admin',
    groups,
    scopes: ['user:info'],
    expiresInSeconds: 1,
  })
  test.same(tokens.authenticate(token, [apiAudience]), {
    authenticated: true,
    user: {
      username: 'kube:admin',
      groups: ['system:authenticated', 'system:cluster-admins', 'system:authenticated:oauth'],
      extra: { 'scopes.authorization.openshift.io': ['user:info'] },
    },
    audiences: [apiAudience],
  })
  clock.now += 1000
  test.notOk(tokens.authenticate(token, [apiAudience]).authenticated)

  const revoked = tokens.issueUserToken(alice)
  tokens.revoke(revoked)
  const lookupFailed = { authenticated: false, error: '[invalid bearer token, token lookup failed]' }
  test.same(tokens.authenticate(revoked, [apiAudience]), lookupFailed)
  test.same(tokens.authenticate('sha256~unknown', [apiAudience]), lookupFailed)
})

await t.test('a service account token', async (test) => {
  const { clock, tokens } = prepared()
  const token = tokens.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' })
  const claims = decodeJwt(token)
  test.match(decodeProtectedHeader(token), { alg: 'ES256', kid: String })
  test.match(claims, {
    iss: apiAudience,
    sub: 'system:serviceaccount:my-team:image-puller',
    aud: [apiAudience],
    iat: start / 1000,
    nbf: start / 1000,
    exp: start / 1000 + 3600,
    jti: /^[0-9a-f-]{36}$/,
    'kubernetes.io': { namespace: 'my-team', serviceaccount: { name: 'image-puller' } },
  })
  test.same(tokens.authenticate(token, [apiAudience]), {
    authenticated: true,
    user: {
      username: 'system:serviceaccount:my-team:image-puller',
      uid: (claims['kubernetes.io'] as { serviceaccount: { uid: string } }).serviceaccount.uid,
      groups: ['system:serviceaccounts', 'system:serviceaccounts:my-team', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`] },
    },
    audiences: [apiAudience],
  })
  clock.now += 3600_000
  test.same(tokens.authenticate(token, [apiAudience]), {
    authenticated: false,
    error: '[invalid bearer token, service account token has expired]',
  })
})

await t.test('the uid stays with the account, the credential id with the token', async (test) => {
  const { tokens } = prepared()
  const uid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/
  const user = (name: string) => {
    const token = tokens.issueServiceAccountToken({ namespace: 'my-team', name })
    const result = tokens.authenticate(token, [apiAudience])
    return result.authenticated ? result.user : undefined
  }
  test.match(user('a')!.uid, uid)
  test.equal(user('a')!.uid, user('a')!.uid)
  test.not(user('a')!.uid, user('b')!.uid)
  test.notSame(user('a')!.extra, user('a')!.extra)
})

await t.test('audiences of a service account token', async (test) => {
  const { tokens } = prepared()
  const account = { namespace: 'my-team', name: 'image-puller' }
  const token = tokens.issueServiceAccountToken({
    ...account,
    audiences: ['quay-proxy', 'vault'],
    expiresInSeconds: 9,
  })
  test.match(tokens.authenticate(token, [apiAudience, 'quay-proxy']), { audiences: ['quay-proxy'] })
  test.match(tokens.authenticate(token, ['vault', 'quay-proxy']), { audiences: ['quay-proxy', 'vault'] })
  test.same(tokens.authenticate(token, [apiAudience]), {
    authenticated: false,
    error:
      '[invalid bearer token, token audiences ["quay-proxy" "vault"] is invalid for the target audiences ["https://kubernetes.default.svc"]]',
  })
})

await t.test('a token that was tampered with', async (test) => {
  const { tokens } = prepared()
  const token = tokens.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' })
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const other = Buffer.from(Buffer.from(payload, 'base64url').toString().replaceAll('my-team', 'openshift'))
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const foreign = prepared().tokens.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' })
  for (const forged of [
    `${header}.${other.toString('base64url')}.${signature}`,
    `${none}.${payload}.`,
    `${header}.${payload}.`,
    `${header}.${payload}`,
    header,
    `${token}.x`,
    foreign,
    '',
  ]) {
    test.same(tokens.authenticate(forged, [apiAudience]), {
      authenticated: false,
      error: '[invalid bearer token, token lookup failed]',
    })
  }
})

await t.test('a service account token is revoked in every spelling', async (test) => {
  const { tokens } = prepared()
  const account = { namespace: 'my-team', name: 'image-puller' }
  const token = tokens.issueServiceAccountToken(account)
  tokens.revoke(token)
  for (const spelling of [token, `${token}=`]) {
    test.same(tokens.authenticate(spelling, [apiAudience]), {
      authenticated: false,
      error: '[invalid bearer token, service account token has been invalidated]',
    })
  }
  test.ok(
    tokens.authenticate(tokens.issueServiceAccountToken(account), [apiAudience]).authenticated,
    'a new one',
  )
})
