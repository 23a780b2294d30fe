import t from 'tap'
import { createLogin } from '../../../src/registry/authentication/compose.ts'
import { createPurposeKeys } from '../../../src/registry/authentication/signing-keys.ts'
import { alice } from '../fakes.ts'
import { hashOf } from '../keys.ts'

const create = (allowAnonymous: boolean) =>
  createLogin({
    exposed: new URL('https://proxy.example'),
    keys: createPurposeKeys(() => [hashOf('a')]),
    validityMs: 60_900,
    allowAnonymous,
    reviewToken: async () => ({ authenticated: true, identity: alice }),
    robotCredentials: () => [{ username: 'ci+robot', password: 'hunter2' }],
  })

await t.test(
  'realm and service come from the exposed URL; robot tokens are signed by the proxy',
  async (test) => {
    const { challenge, robotTokens, authenticate, anonymous } = create(false)
    test.equal(anonymous, undefined)
    test.equal(
      challenge.unauthorized('a').headers['www-authenticate'],
      'Bearer realm="https://proxy.example/v2/auth",service="proxy.example"',
    )
    const { token, expiresInSeconds } = await robotTokens.mint('ci+robot')
    test.equal(expiresInSeconds, 60)
    test.match(await authenticate({ kind: 'bearer', token }, '10.0.0.1'), { identity: { kind: 'robot' } })
  },
)

await t.test('anonymous tokens exist only with --allow-anonymous', async (test) => {
  const { anonymous, authenticate } = create(true)
  const { token = '' } = (await anonymous?.mint()) ?? {}
  const user = { username: 'system:anonymous' }
  test.match(await authenticate({ kind: 'bearer', token }, '10.0.0.1'), { identity: { user } })
  test.match(await authenticate({ kind: 'bearer', token: 'x' }, '10.0.0.1'), { identity: alice })
  await test.rejects(create(false).authenticate({ kind: 'bearer', token }, '10.0.0.1'), {
    code: 'UNAUTHORIZED',
  })
})
