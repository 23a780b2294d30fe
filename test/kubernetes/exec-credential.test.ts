import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { ExecCredential, type ExecCredentialOptions } from '../../src/kubernetes/exec-credential.ts'
import type { ExecPlugin } from '../../src/kubernetes/exec-plugin.ts'
import { createPlugin, started, status } from './exec-plugins.ts'

const user = { name: 'u' }

const setUp = (
  test: Test,
  body: string,
  { env, ...more }: Partial<ExecCredentialOptions> & Partial<Pick<ExecPlugin, 'env'>> = {},
) => {
  const { directory, plugin, runs } = createPlugin(test, body, env)
  let now = started
  const credential = new ExecCredential({ plugin, now: () => now, ...more })
  const apply = async () => {
    const options: { headers?: Record<string, string>; cert?: unknown; key?: unknown } = {
      headers: { a: 'b' },
    }
    await credential.applyAuthentication(user, options)
    return options
  }
  return { directory, credential, apply, runs, pass: (ms: number) => void (now += ms) }
}
const inSeconds = (seconds: number) => new Date(started + seconds * 1000).toISOString()

await t.test(
  'one run gives all requests its token; the plugin gets arguments, environment and cluster',
  async (test) => {
    const { directory, apply, runs, credential } = setUp(
      test,
      `echo "$1 $2 $SECRET $KUBERNETES_EXEC_INFO" > "$here/told"\n${status({ token: 'tok' })}`,
      {
        env: [{ name: 'SECRET', value: 'x' }],
        cluster: { name: 'c', server: 'https://api', caData: 'Y2E=', skipTLSVerify: false },
      },
    )
    test.equal(credential.isAuthProvider(), true)
    const all = await Promise.all(Array.from({ length: 20 }, apply))
    for (const options of all) test.strictSame(options, { headers: { a: 'b', Authorization: 'Bearer tok' } })
    await apply()
    test.equal(runs(), 1)
    const told = readFileSync(join(directory, 'told'), 'utf8')
    test.match(told, /^one two x \{"apiVersion":"client.authentication.k8s.io\/v1","kind":"ExecCredential"/)
    test.match(told, '"server":"https://api","certificate-authority-data":"Y2E="')
    test.match(told, '"interactive":false')
  },
)

await t.test('a certificate is applied', async (test) => {
  const { apply } = setUp(test, status({ clientCertificateData: 'cert', clientKeyData: 'key' }))
  test.strictSame(await apply(), { headers: { a: 'b' }, cert: 'cert', key: 'key' })
})

await t.test(
  'a credential is renewed in the background before it expires; after its end, requests wait',
  async (test) => {
    const { apply, runs, pass } = setUp(test, status({ token: 'tok', expirationTimestamp: inSeconds(600) }))
    await apply()
    pass(539_999)
    await apply()
    test.equal(runs(), 1)
    pass(1)
    await apply()
    while (runs() < 2) await sleep(5)
    pass(60_000)
    await apply()
    test.equal(runs() >= 2, true)
  },
)

await t.test('a renewal that fails affects no request while the credential is valid', async (test) => {
  const { apply, runs, pass } = setUp(
    test,
    `test "$(wc -l < "$here/runs")" -gt 1 && exit 3\n${status({ token: 'tok', expirationTimestamp: inSeconds(600) })}`,
  )
  await apply()
  pass(590_000)
  test.match(await apply(), { headers: { Authorization: 'Bearer tok' } })
  while (runs() < 2) await sleep(5)
  pass(10_001)
  await test.rejects(apply(), { message: /failed: it ended with 3$/ })
})

await t.test('a credential whose end cannot be parsed is valid for a minute', async (test) => {
  const { apply, runs, pass } = setUp(test, status({ token: 'tok', expirationTimestamp: 'soon' }))
  await apply()
  pass(40_000)
  await apply()
  test.equal(runs(), 1)
  pass(20_001)
  await apply()
  test.equal(runs(), 2)
})

await t.test('after a 401 the plugin runs again, but not after each 401', async (test) => {
  const { apply, credential, runs, pass } = setUp(test, status({ token: 'tok' }))
  credential.refused(0)
  await apply()
  const first = credential.generation
  credential.refused(first)
  await apply()
  test.equal(runs(), 2)
  credential.refused(first)
  await apply()
  test.equal(runs(), 2, 'that was the credential before')
  credential.refused(credential.generation)
  await apply()
  test.equal(runs(), 2, 'too soon')
  pass(2000)
  credential.refused(credential.generation)
  await apply()
  test.equal(runs(), 3)
})

await t.test('a plugin that fails is not run for each request', async (test) => {
  const { apply, runs, pass } = setUp(test, 'exit 1')
  for (let index = 0; index < 5; index++) await test.rejects(apply())
  test.equal(runs(), 1)
  pass(2000)
  await test.rejects(apply())
  test.equal(runs(), 2)
})

await t.test('the system clock is used unless one is given', async (test) => {
  const { plugin, runs } = createPlugin(test, status({ token: 'tok' }))
  const credential = new ExecCredential({ plugin })
  for (let index = 0; index < 2; index++) await credential.applyAuthentication(user, {})
  test.equal(runs(), 1)
})
