import t from 'tap'
import type { TokenRefusal } from '../../../src/access/token-refusal.ts'
import { refusedLogin } from '../../../src/registry/authentication/refused-login.ts'
import { createLoginAdvice } from '../../../src/registry/authentication/login-advice.ts'

const advice = createLoginAdvice({ host: 'proxy.example' })

const refusal = (more: Partial<TokenRefusal>): TokenRefusal => ({
  reason: 'no',
  by: 'cluster',
  tokenKind: 'jwt',
  unverifiedClaims: {},
  ...more,
})
const oc = 'log in again: oc login, then podman login -u=$(oc whoami) -p=$(oc whoami -t) proxy.example'

await t.test('the client gets the helpful part, with the command for its kind of identity', async (test) => {
  const rows: readonly (readonly [Partial<TokenRefusal>, string])[] = [
    [
      { by: 'form', reason: 'it expired at 2026-11-28T12:00:00Z' },
      `your token expired at 2026-11-28T12:00:00Z; ${oc}`,
    ],
    [
      { by: 'form', reason: 'it is empty' },
      `your token cannot be one that the app.ci cluster accepts: it is empty; ${oc}`,
    ],
    [
      { tokenKind: 'opaque' },
      `the app.ci cluster does not accept your token (expired, deleted, or of another cluster; those of OpenShift are sha256~ and 43 characters, or a JWT, and yours is neither); ${oc}`,
    ],
    [
      { by: 'configuration', reason: 'this proxy accepts robots only' },
      'this proxy accepts robots only: log in to proxy.example as the robot',
    ],
    [
      { reason: '[invalid bearer token, token lookup failed]' },
      `the app.ci cluster does not accept your token (expired, deleted, or of another cluster); ${oc}`,
    ],
    [
      { unverifiedClaims: { iss: 'https://b' } },
      `the app.ci cluster does not accept your token (expired, deleted, or of another cluster: it says that it is of https://b); ${oc}`,
    ],
    [
      { reason: '[invalid bearer token, token is expired]' },
      `the app.ci cluster does not accept your token (it has expired); ${oc}`,
    ],
    [
      { reason: 'the token is meant for another audience', unverifiedClaims: { aud: 'vault' } },
      `the app.ci cluster does not accept your token (it is meant for another audience: vault); ${oc}`,
    ],
    [
      { reason: 'invalid audience' },
      `the app.ci cluster does not accept your token (it is meant for another audience); ${oc}`,
    ],
    [
      { unverifiedClaims: { sub: 'system:serviceaccount:ci:image-puller' } },
      'the app.ci cluster does not accept your token (expired, deleted, or of another cluster); log in again: podman login -u=image-puller -p=$(oc create token image-puller -n ci --duration=24h) proxy.example',
    ],
    ...['system:serviceaccount:ci:$(rm)', 'alice', 'x system:serviceaccount:a:b'].map(
      (sub) =>
        [
          { unverifiedClaims: { sub } },
          `the app.ci cluster does not accept your token (expired, deleted, or of another cluster); ${oc}`,
        ] as const,
    ),
  ]
  for (const [more, message] of rows) test.equal(refusedLogin(refusal(more), advice).message, message)
})

await t.test('the log gets the whole reason', async (test) => {
  const all = refusal({ unverifiedClaims: { iss: 'a', sub: 'b', aud: 'c', exp: 'd' } })
  test.strictSame(refusedLogin(all, advice).forLog, all)
})
