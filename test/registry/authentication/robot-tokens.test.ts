import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { createRobotTokens, robotIdentity } from '../../../src/registry/authentication/robot-tokens.ts'
import { createPurposeKeys } from '../../../src/registry/authentication/signing-keys.ts'
import { hashOf, loginKeyOf, purposeKeyOf } from '../keys.ts'

const issuer = 'https://proxy.example'
const robot = { username: 'robot', password: 'hunter2' }
const tokensOf = (secrets: readonly string[], robots = [robot]) =>
  createRobotTokens({
    keys: createPurposeKeys(() => secrets.map(hashOf)).robotLogins,
    robots: () => robots,
    issuer,
    validitySeconds: 3600,
  })
const sign = (claims: Record<string, unknown>, key = loginKeyOf('a', robot)) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(key)
const soon = Math.floor(Date.now() / 1000) + 60

await t.test('a robot token is accepted for a little longer than announced', async (test) => {
  const { token, expiresInSeconds } = await tokensOf(['a']).mint('robot')
  test.equal(expiresInSeconds, 3600)
  const { iat = 0, exp = 0 } = decodeJwt(token)
  test.equal(exp - iat, 3660, 'trap 9: it lives on past the advertised end')
  test.strictSame(await tokensOf(['a']).verify(token), robotIdentity('robot'))
  test.notMatch(token + JSON.stringify(decodeJwt(token)), /hunter2/)
})

await t.test('a secret in the file, and one that was removed', async (test) => {
  const { token } = await tokensOf(['old']).mint('robot')
  test.strictSame(await tokensOf(['new', 'old']).verify(token), robotIdentity('robot'))
  test.equal(await tokensOf(['new']).verify(token), 'invalid')
})

await t.test('revocation: earlier and current robots, in every combination', async (test) => {
  const rows = [[], ['hunter2'], ['hunter3'], ['hunter2', 'second'], ['second', 'hunter2']].map((passwords) =>
    passwords.map((password, index) => ({ username: index === 0 ? 'robot' : 'other', password })),
  )
  for (const then of rows)
    for (const { username, password } of then) {
      const { token } = await tokensOf(['a'], then).mint(username)
      for (const now of rows) {
        const stands = now.some((other) => other.username === username && other.password === password)
        test.strictSame(
          await tokensOf(['a'], now).verify(token),
          stands ? robotIdentity(username) : 'invalid',
          JSON.stringify({ username, password, now }),
        )
      }
    }
})

await t.test('tokens of other issuers are not judged', async (test) => {
  for (const token of ['sha256~x', 'a.b.c', await sign({ iss: 'https://kubernetes.default.svc' })])
    test.equal(await tokensOf(['a']).verify(token), undefined)
})

await t.test('forged tokens in our name are neither passed on nor accepted', async (test) => {
  const whole = { iss: issuer, aud: issuer, sub: 'robot', exp: soon }
  const { sub, exp, aud, ...rest } = whole
  const forged = [
    await sign(whole, loginKeyOf('guess', robot)),
    // Attack: the token secret was guessed, or read; the password was not.
    await sign(whole, hashOf('a')),
    await sign(whole, purposeKeyOf('a', 'quay-proxy robot login 1')),
    await sign(whole, loginKeyOf('a', { ...robot, password: '' })),
    await sign(whole, loginKeyOf('a', { username: 'other', password: 'hunter2' })),
    await sign({ ...whole, sub: 'other' }),
    await sign({ ...whole, exp: 1 }),
    await sign({ ...whole, aud: 'https://elsewhere.example' }),
    await sign({ ...rest, sub, aud }),
    await sign({ ...rest, exp, aud }),
    new UnsecuredJWT(whole).encode(),
    await new SignJWT(whole).setProtectedHeader({ alg: 'HS512' }).sign(Buffer.alloc(64, 1)),
  ]
  for (const token of forged) test.equal(await tokensOf(['a']).verify(token), 'invalid')
  test.strictSame(
    await tokensOf(['a']).verify(await sign(whole)),
    robotIdentity('robot'),
    'it is the forgery',
  )
})

await t.test('no token without a key, or for a user that is no robot', async (test) => {
  await test.rejects(tokensOf([]).mint('robot'))
  await test.rejects(tokensOf(['a']).mint('another'), { message: 'there is no robot of that name' })
})
