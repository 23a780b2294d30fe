import t from 'tap'
import {
  createChallenge,
  parseAuthorization,
  parseUserInfo,
} from '../../../src/registry/authentication/credential.ts'

const basic = (userInfo: string) => `Basic ${btoa(userInfo)}`

await t.test('headers and their credentials', async (test) => {
  const login = { kind: 'basic', username: 'alice', token: 'sha256~x', userInfo: 'alice:sha256~x' }
  const rows: [string | undefined, object][] = [
    [undefined, { kind: 'none' }],
    ['', { kind: 'none' }],
    ['Bearer sha256~x', { kind: 'bearer', token: 'sha256~x' }],
    ['bearer   sha256~x ', { kind: 'bearer', token: 'sha256~x' }],
    [basic('alice:sha256~x'), login],
    [basic('alice:sha256~x').replace('Basic', 'BASIC'), login],
    ['Bearer a b', { kind: 'bearer', token: 'a b' }],
    ['Bearer\tsha256~x', { kind: 'bearer', token: 'sha256~x' }],
    [`Bearer ${'a'.repeat(20_000)}`, { kind: 'bearer', token: 'a'.repeat(20_000) }],
    [' \t ', { kind: 'none' }],
  ]
  for (const [header, credential] of rows)
    test.strictSame(parseAuthorization(header), credential, header?.slice(0, 30) ?? 'no header')
})

await t.test('invisible characters are removed from logins, in all fields and encodings', async (test) => {
  for (const blank of [
    '\u00ad',
    '\u3000',
    '\u2068',
    '\u180e',
    '\ufe0f',
    '\u{e0020}',
    '\ufeff',
    '\u200b',
    '\u0085',
  ]) {
    const name = `U+${blank.codePointAt(0)?.toString(16)}`
    const userInfo = `${blank}alice${blank}:${blank}tok${blank}`
    const login = { kind: 'basic', username: 'alice', token: 'tok', userInfo: 'alice:tok' }
    test.strictSame(parseUserInfo(userInfo), login, name)
    // As Node gives a field: each byte of UTF-8 is a character.
    const field = (text: string) => Buffer.from(text).toString('latin1')
    const base64 = Buffer.from(userInfo).toString('base64')
    const bearer = { kind: 'bearer', token: 'tok' }
    for (const text of [`Bearer ${blank}tok${blank}`, `${blank}Bearer tok`])
      test.strictSame(parseAuthorization(field(text)), bearer, name)
    test.strictSame(
      parseAuthorization(field(`Basic ${blank}${base64.slice(0, 5)}${blank}${base64.slice(5)}`)),
      login,
      name,
    )
  }
  test.strictSame(parseAuthorization('Bearer t\u00f6k'), { kind: 'bearer', token: 't\u00f6k' }, 'no UTF-8')
})

await t.test('trap 1: user names contain colons, tokens do not', async (test) => {
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

await t.test('a malformed header gets the reason', async (test) => {
  const rows: readonly (readonly [string, RegExp])[] = [
    [basic('alice'), /not of the form user:token/],
    [basic('alice:'), /password is empty/],
    [basic('alice:\n\0'), /password is empty/],
    [basic(''), /nothing behind the scheme/],
    ['Bearer', /nothing behind the scheme/],
    ['Basic alice:sha256~x', /not base64/],
    ['Basic YTpi=Yzpk', /not base64/],
    ['Basic ====', /not base64/],
    ['Basic A', /not of the form/],
    ['Digest a', /neither Basic nor Bearer/],
    ['sha256~x', /nothing behind the scheme/],
    [`Bearer ${'a'.repeat(24 * 1024)}`, /longer than any token/],
  ]
  for (const [header, reason] of rows)
    test.match(parseAuthorization(header), { kind: 'malformed', reason }, header.slice(0, 40))
})

await t.test('generated: pasted white space, line ends, NUL and marks, in each place', async (test) => {
  const blanks = [
    '\n',
    '\r\n',
    ' ',
    '\t',
    '\0',
    '\u00a0',
    '\u200b',
    '\ufeff',
    '\u2028',
    ' \n\0 ',
    '\n'.repeat(1000),
  ]
  const login = {
    kind: 'basic',
    username: 'system:serviceaccount:a:b',
    token: 'tok',
    userInfo: 'system:serviceaccount:a:b:tok',
  }
  const encode = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  for (const blank of blanks) {
    const { username } = login
    const pasted = [
      `${username}:tok${blank}`,
      `${username}:${blank}tok`,
      `${blank}${username}:tok`,
      `${username}${blank}:tok`,
      `${blank}${username}${blank}:${blank}tok${blank}`,
    ]
    for (const text of pasted) {
      test.strictSame(parseAuthorization(encode(text)), login, `U+${blank.charCodeAt(0)}`)
      test.strictSame(parseUserInfo(text), login, 'and in a form')
    }
  }
  for (const blank of [' ', '\t', '\n', '\0']) {
    const wrapped = encode('alice:tok').replace(/^Basic (.{5})/, `Basic ${blank}$1${blank}`)
    test.match(parseAuthorization(wrapped), { token: 'tok' }, 'within the base64')
    test.strictSame(parseAuthorization(`Bearer ${blank}tok${blank}`), { kind: 'bearer', token: 'tok' })
  }
})

await t.test('base64 of both alphabets, with and without padding', async (test) => {
  for (const userInfo of ['a:tok', 'a:toke', 'a:token', '\u00ff\u00fe>?:t'])
    for (const encoding of ['base64', 'base64url'] as const)
      for (const padded of [true, false]) {
        const text = Buffer.from(userInfo).toString(encoding)
        const header = `Basic ${padded ? text : text.replace(/=+$/, '')}`
        test.match(parseAuthorization(header), { kind: 'basic', userInfo }, header)
      }
})

await t.test('fields for the log are kept apart from the message', async (test) => {
  const made = createChallenge('https://proxy.example/v2/auth', 'proxy.example')
  test.strictSame(made.invalidToken('a', { reason: 'b' }).forLog, { reason: 'b' })
  test.strictSame(made.unauthorized('a', { reason: 'b' }).forLog, { reason: 'b' })
  test.equal(made.unauthorized('a').forLog, undefined)
})
