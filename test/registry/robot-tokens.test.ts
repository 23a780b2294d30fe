import { createHash } from 'node:crypto'
import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { createRobotTokens, robotIdentity } from '../../src/registry/robot-tokens.ts'

const issuer = 'https://proxy.example'
const keyOf = (secret: string) => createHash('sha256').update(secret).digest()
const tokensOf = (...secrets: string[]) =>
  createRobotTokens({ keys: () => secrets.map(keyOf), issuer, validitySeconds: 3600 })
const sign = (claims: Record<string, unknown>, secret = 'a') =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(keyOf(secret))
const soon = Math.floor(Date.now() / 1000) + 60

await t.test('what is minted is accepted, for a little longer than it says', async (test) => {
  const { token, expiresInSeconds } = await tokensOf('a').mint('robot')
  test.equal(expiresInSeconds, 3600)
  const { iat = 0, exp = 0 } = decodeJwt(token)
  test.equal(exp - iat, 3660, 'trap 9: it lives on past the advertised end')
  test.strictSame(await tokensOf('a').verify(token), robotIdentity('robot'))
})

await t.test('a key that is still honoured, and one that is not', async (test) => {
  const { token } = await tokensOf('old').mint('robot')
  test.strictSame(await tokensOf('new', 'old').verify(token), robotIdentity('robot'))
  test.equal(await tokensOf('new').verify(token), 'invalid')
})

await t.test('tokens of others are theirs to judge', async (test) => {
  for (const token of ['sha256~x', 'a.b.c', await sign({ iss: 'https://kubernetes.default.svc' })])
    test.equal(await tokensOf('a').verify(token), undefined)
})

await t.test('what claims to be ours and is not: never passed on, never accepted', async (test) => {
  const whole = { iss: issuer, aud: issuer, sub: 'robot', exp: soon }
  const { sub, exp, aud, ...rest } = whole
  const forged = [
    await sign(whole, 'guess'),
    await sign({ ...whole, exp: 1 }),
    await sign({ ...whole, aud: 'https://elsewhere.example' }),
    await sign({ ...rest, sub, aud }),
    await sign({ ...rest, exp, aud }),
    new UnsecuredJWT(whole).encode(),
    await new SignJWT(whole).setProtectedHeader({ alg: 'HS512' }).sign(Buffer.alloc(64, 1)),
  ]
  for (const token of forged) test.equal(await tokensOf('a').verify(token), 'invalid')
  test.strictSame(await tokensOf('a').verify(await sign(whole)), robotIdentity('robot'), 'it is the forgery')
})

await t.test('without any key nothing is minted', async (test) => {
  await test.rejects(tokensOf().mint('robot'))
})
