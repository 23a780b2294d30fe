import t from 'tap'
import { createChallenge, parseAuthorization, parseUserInfo } from '../../src/registry/credential.ts'

const basic = (userInfo: string) => `Basic ${btoa(userInfo)}`

await t.test('the header and what it amounts to', async (test) => {
  const login = { kind: 'basic', username: 'alice', token: 'sha256~x', userInfo: 'alice:sha256~x' }
  const rows: [string | undefined, object][] = [
    [undefined, { kind: 'none' }],
    ['', { kind: 'none' }],
    ['Bearer sha256~x', { kind: 'bearer', token: 'sha256~x' }],
    ['bearer   sha256~x ', { kind: 'bearer', token: 'sha256~x' }],
    [basic('alice:sha256~x'), login],
    [basic('alice:sha256~x').replace('Basic', 'BASIC'), login],
    [basic('alice'), { kind: 'malformed' }],
    [basic('alice:'), { kind: 'malformed' }],
    ['Bearer', { kind: 'malformed' }],
    ['Bearer a b', { kind: 'malformed' }],
    ['Digest a', { kind: 'malformed' }],
    [`Bearer ${'a'.repeat(16 * 1024)}`, { kind: 'malformed' }],
  ]
  for (const [header, credential] of rows)
    test.strictSame(parseAuthorization(header), credential, header?.slice(0, 30) ?? 'no header')
})

await t.test('trap 1: user names hold colons, tokens none', async (test) => {
  const userInfo = 'system:serviceaccount:ci:puller:a.b.c'
  test.strictSame(parseUserInfo(userInfo), {
    kind: 'basic',
    username: 'system:serviceaccount:ci:puller',
    token: 'a.b.c',
    userInfo,
  })
  // Clients that split a stored login at its first colon put it together again like this.
  test.match(parseAuthorization(basic('kube:admin:sha256~x')), { username: 'kube:admin', token: 'sha256~x' })
})

await t.test('trap 5: one line, realm first, quoted, nothing empty', async (test) => {
  const challenge = createChallenge('https://proxy.example/v2/auth', 'proxy.example')
  const bearer = 'Bearer realm="https://proxy.example/v2/auth",service="proxy.example"'
  test.match(challenge.unauthorized('a'), {
    status: 401,
    code: 'UNAUTHORIZED',
    message: 'a',
    headers: { 'www-authenticate': bearer },
  })
  test.match(challenge.invalidToken('b'), {
    status: 401,
    message: 'b',
    headers: { 'www-authenticate': `${bearer},error="invalid_token"` },
  })
})
