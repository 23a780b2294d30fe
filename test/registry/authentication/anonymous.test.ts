import { createHash } from 'node:crypto'
import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { anonymousIdentity, createAnonymous } from '../../../src/registry/authentication/anonymous.ts'
import type { Authenticate } from '../../../src/registry/authentication/authentication.ts'
import { createDenialMessage } from '../../../src/registry/denial.ts'
import { createRobotTokens } from '../../../src/registry/authentication/robot-tokens.ts'
import { alice, challenge } from '../fakes.ts'
import { createLoginAdvice } from '../../../src/registry/authentication/login-advice.ts'

const advice = createLoginAdvice({ host: 'proxy.example' })

const issuer = 'https://proxy.example'
const audience = `${issuer}/anonymous`
const keyOf = (secret: string) => createHash('sha256').update(secret).digest()
const anonymousOf = (...secrets: string[]) =>
  createAnonymous({ keys: () => secrets.map(keyOf), issuer, challenge, advice })
const next: Authenticate = async (credential) => {
  if (credential.kind === 'none') throw challenge.unauthorized('log in first')
  return { identity: alice, bearerToken: 'passed on' }
}
const show = async (token: string, ...secrets: string[]) =>
  await anonymousOf(...secrets).recognize(next)({ kind: 'bearer', token }, '10.0.0.1')
const passedOn = { identity: alice, bearerToken: 'passed on' }

await t.test(
  'an anonymous token gives anonymous access, for a little longer than announced',
  async (test) => {
    const { token, expiresInSeconds } = await anonymousOf('a').mint()
    test.equal(expiresInSeconds, 300)
    const { iat = 0, exp = 0, sub } = decodeJwt(token)
    test.strictSame([exp - iat, sub], [360, 'system:anonymous'])
    const anonymous = { identity: anonymousIdentity, bearerToken: token }
    test.strictSame(await show(token, 'a'), anonymous)
    test.strictSame(await show(token, 'new', 'a'), anonymous, 'signed before the key was changed')
    test.strictSame(anonymousIdentity.user, {
      username: 'system:anonymous',
      groups: ['system:unauthenticated'],
      extra: {},
    })
    await test.rejects(anonymousOf().mint())
  },
)

await t.test('no credential: a challenge, or anonymous access', async (test) => {
  const { admit, recognize } = anonymousOf('a')
  const nothing = { kind: 'none' } as const
  await test.rejects(recognize(next)(nothing, '10.0.0.1'), { code: 'UNAUTHORIZED' })
  test.strictSame(await admit(next)(nothing, '10.0.0.1'), {
    identity: anonymousIdentity,
    bearerToken: undefined,
  })
  for (const wrapped of [admit(next), recognize(next)]) {
    test.strictSame(await wrapped({ kind: 'bearer', token: 'sha256~x' }, '10.0.0.1'), passedOn)
    test.strictSame(
      await wrapped({ kind: 'basic', username: 'a', token: 'b', userInfo: 'a:b' }, '10.0.0.1'),
      passedOn,
    )
  }
})

await t.test('attack: forged, expired, unsigned tokens, and tokens for others', async (test) => {
  const soon = Math.floor(Date.now() / 1000) + 60
  const whole = { iss: issuer, aud: audience, sub: 'system:anonymous', exp: soon }
  const sign = (claims: Record<string, unknown>, secret = 'a', alg = 'HS256') =>
    new SignJWT(claims).setProtectedHeader({ alg }).sign(keyOf(secret))
  const { exp, ...endless } = whole
  test.match(await show(await sign(whole), 'a'), { identity: anonymousIdentity }, 'it is the forgery')
  const forged = [
    await sign(whole, 'guess'),
    await sign({ ...whole, exp: exp - 120 }),
    await sign(endless),
    await sign({ ...whole, sub: 'system:admin' }),
    await sign({ ...whole, iss: 'https://elsewhere.example' }),
    new UnsecuredJWT(whole).encode(),
    await new SignJWT(whole).setProtectedHeader({ alg: 'HS512' }).sign(Buffer.alloc(64, 1)),
  ]
  for (const token of forged)
    await test.rejects(show(token, 'a'), {
      code: 'UNAUTHORIZED',
      headers: { 'www-authenticate': /error="invalid_token"/ },
    })
})

await t.test('attack: an anonymous token as a robot token, and the reverse', async (test) => {
  const robots = createRobotTokens({
    keys: () => [keyOf('a')],
    robots: () => [{ username: 'system:anonymous', password: 'hunter2' }],
    issuer,
    validitySeconds: 60,
  })
  const { token } = await anonymousOf('a').mint()
  test.equal(await robots.verify(token), 'invalid')
  const robot = await robots.mint('system:anonymous')
  test.strictSame(await show(robot.token, 'a'), passedOn, 'is judged as what it is')
})

await t.test('a refusal is a challenge for anonymous clients, and DENIED for all others', async (test) => {
  const denied = anonymousOf('a').denied(createDenialMessage('ocp', () => false))
  test.match(denied({ identity: anonymousIdentity, wanted: 'ocp_4.5_base', namespace: 'ocp' }), {
    status: 401,
    code: 'UNAUTHORIZED',
    message: /^ocp_4.5_base is not open to everybody; log in first: podman login .* proxy.example$/,
    headers: { 'www-authenticate': /service="proxy.example"$/ },
  })
  test.match(denied({ identity: alice, wanted: 'ocp_4.5_base', namespace: 'ocp' }), {
    status: 403,
    code: 'DENIED',
  })
})
