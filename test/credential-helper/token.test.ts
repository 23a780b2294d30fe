import t from 'tap'
import { expiryOf, readToken } from '../../src/credential-helper/token.ts'

await t.test('a token, with the blanks that files have around it', async (test) => {
  test.equal(readToken(' sha256~abc\r\n', 'none'), 'sha256~abc')
  for (const text of ['', '\n', 'error: no token', 'a\nb', 'ä', 'a'.repeat(16 * 1024 + 1)])
    test.throws(() => readToken(text, 'there is none'), { message: 'there is none' })
})

await t.test('the expiry in a JWT', async (test) => {
  const jwt = (payload: unknown) =>
    `eyJ.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.signature`
  test.equal(expiryOf(jwt({ exp: 100 })), 100_000)
  for (const text of [jwt({}), jwt({ exp: 'soon' }), jwt(null), 'sha256~abc', 'a.b.c', ''])
    test.equal(expiryOf(text), undefined, text)
})
