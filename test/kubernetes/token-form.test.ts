import t from 'tap'
import { audiencesOf, expiryOf, formOf } from '../../src/kubernetes/token-form.ts'

const now = Date.parse('2026-11-28T12:00:00Z')
const jwt = (claims: unknown) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'ES256' })}.${part(claims)}.c2ln`
}
const openshift = `sha256~${'aB3-_'.repeat(8)}xyz`

await t.test('a text that cannot be a token is described as what it most probably is', async (test) => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['', /empty/],
    ['$(oc whoami -t)', /no shell has run/],
    ['$(oc', /no shell has run/],
    ['${TOKEN}', /no shell has run/],
    ['`oc whoami -t`', /no shell has run/],
    ['error: You must be logged in to the server (Unauthorized)', /white space/],
    ['a b', /white space/],
    ['a\nb', /white space/],
    ['"sha256~abc"', /quotes/],
    ["'abc'", /quotes/],
    ['\u201cabc\u201d', /quotes/],
    ['abc:def', /characters/],
    ['abc=def', /characters/],
    ['=', /characters/],
    ['\u0000', /characters/],
    ['tok\u00e9n', /characters/],
    ['\ufffd', /characters/],
    ['a'.repeat(16 * 1024 + 1), /longer than 16 KiB/],
  ]
  for (const [token, reason] of rows) {
    const form = formOf(token, 'any', now)
    test.match(form, { kind: 'opaque', claims: {}, refusal: reason }, token.slice(0, 40))
    if (token.length > 3 && token.length < 100) test.notMatch(form.refusal, token)
  }
})

await t.test('no other text is refused by its form', async (test) => {
  for (const token of [
    'a',
    'hunter2',
    'a.b.c',
    'a~b+c/d-e_f==',
    'x'.repeat(16 * 1024),
    'sha256~short',
    '...',
  ])
    test.strictSame(formOf(token, 'any', now), { kind: 'opaque', claims: {} }, token.slice(0, 20))
  test.strictSame(formOf(openshift, 'any', now), { kind: 'openshift', claims: {} })
})

await t.test('--token-format=openshift: sha256~ and 43 characters, or a JWT', async (test) => {
  test.strictSame(formOf(openshift, 'openshift', now), { kind: 'openshift', claims: {} })
  test.match(formOf(jwt({ iss: 'x' }), 'openshift', now), { kind: 'jwt' })
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  for (const [refusal, ...tokens] of [
    [/^it is neither sha256~ and 43/, 'a', 'a.b.c', 'a'.repeat(50), `sha256~${'a'.repeat(42)}.`],
    [/^it has 5 characters behind sha256~ instead of 43: copy all/, 'sha256~short'],
    [/^it has 44 characters behind sha256~/, `${openshift}x`],
    [/^it is base64 of a token: give the token itself$/, base64(openshift), base64(`alice:${openshift}`)],
  ] as const)
    for (const token of tokens) {
      const form = formOf(token, 'openshift', now)
      test.match(form, { kind: 'opaque', refusal }, token)
      test.notMatch(form.refusal, /short|aaaa/, 'never the token')
    }
})

await t.test('a JWT that says that it has expired is refused', async (test) => {
  const seconds = now / 1000
  test.equal(formOf(jwt({ exp: seconds }), 'any', now).refusal, 'it expired at 2026-11-28T12:00:00Z')
  test.equal(formOf(jwt({ exp: seconds - 3600.5 }), 'any', now).refusal, 'it expired at 2026-11-28T10:59:59Z')
  test.equal(formOf(jwt({ exp: -1e300 }), 'any', now).refusal, 'it expired at no time that there is')
  for (const exp of [seconds + 1, 1e300, 'soon', String(seconds - 1), null, { valueOf: 1 }, undefined])
    test.notHas(formOf(jwt({ exp }), 'any', now), { refusal: String }, JSON.stringify(exp))
})

await t.test('claims are short printable texts, without the token', async (test) => {
  const claims = {
    iss: 'https://a\n',
    sub: 'x'.repeat(500),
    aud: ['a', 5, 'b'],
    exp: now / 1000 + 60,
    jti: 'y',
  }
  test.strictSame(formOf(jwt(claims), 'any', now).claims, {
    iss: 'https://a?',
    sub: `${'x'.repeat(120)}..`,
    aud: 'a b',
    exp: '2026-11-28T12:01:00Z',
  })
  test.strictSame(formOf(jwt({ iss: 5, sub: {}, aud: null, exp: 1e300 }), 'any', now).claims, {
    exp: 'no time that there is',
  })
})

await t.test('the expiry and the audiences of a token are read if it names them', async (test) => {
  test.equal(expiryOf(jwt({ exp: 1_800_000_000 })), 1_800_000_000_000)
  for (const token of [
    '',
    openshift,
    'a.b.c',
    '..',
    jwt({}),
    jwt({ exp: '1' }),
    jwt({ exp: null }),
    jwt(null),
    jwt([]),
  ])
    test.equal(expiryOf(token), undefined, token)
  test.strictSame(audiencesOf(jwt({ aud: 'a' })), ['a'])
  test.strictSame(audiencesOf(jwt({ aud: ['a', 'b'] })), ['a', 'b'])
  test.strictSame(audiencesOf(jwt({})), [])
  test.equal(audiencesOf(openshift), undefined)
})
