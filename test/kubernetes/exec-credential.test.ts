import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import {
  ExecCredential,
  type ExecCredentialOptions,
  type ExecPlugin,
} from '../../src/kubernetes/exec-credential.ts'

const started = Date.parse('2026-11-28T12:00:00Z')
const user = { name: 'u' }

/** `body` is shell; each run is written down before it. */
const setUp = (
  test: Test,
  body: string,
  { env, ...more }: Partial<ExecCredentialOptions> & Partial<Pick<ExecPlugin, 'env'>> = {},
) => {
  const directory = test.testdir({
    plugin: `#!/bin/sh\nhere="$(dirname "$0")"\necho run >> "$here/runs"\n${body}\n`,
  })
  const command = join(directory, 'plugin')
  chmodSync(command, 0o755)
  let now = started
  const plugin: ExecPlugin = {
    command,
    args: ['one', 'two'],
    apiVersion: 'client.authentication.k8s.io/v1',
    ...(env === undefined ? {} : { env }),
  }
  const credential = new ExecCredential({ plugin, now: () => now, ...more })
  const apply = async () => {
    const options: { headers?: Record<string, string>; cert?: unknown; key?: unknown } = {
      headers: { a: 'b' },
    }
    await credential.applyAuthentication(user, options)
    return options
  }
  const runs = () =>
    existsSync(join(directory, 'runs'))
      ? readFileSync(join(directory, 'runs'), 'utf8').split('\n').length - 1
      : 0
  return { directory, credential, apply, runs, pass: (ms: number) => void (now += ms) }
}
const status = (fields: object) => `echo '${JSON.stringify({ kind: 'ExecCredential', status: fields })}'`
const inSeconds = (seconds: number) => new Date(started + seconds * 1000).toISOString()

await t.test('a token, told what it asks for; one run for all who ask', async (test) => {
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
})

await t.test('a certificate', async (test) => {
  const { apply } = setUp(test, status({ clientCertificateData: 'cert', clientKeyData: 'key' }))
  test.strictSame(await apply(), { headers: { a: 'b' }, cert: 'cert', key: 'key' })
})

await t.test('renewed before it expires, while nobody waits; after its end everybody does', async (test) => {
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
})

await t.test("a renewal that fails is nobody's trouble while the credential holds", async (test) => {
  const { apply, runs, pass } = setUp(
    test,
    `test "$(wc -l < "$here/runs")" -gt 1 && exit 3\n${status({ token: 'tok', expirationTimestamp: inSeconds(600) })}`,
  )
  await apply()
  pass(590_000)
  test.match(await apply(), { headers: { Authorization: 'Bearer tok' } })
  while (runs() < 2) await sleep(5)
  pass(10_001)
  await test.rejects(apply(), { message: /did not help: it ended with 3$/ })
})

await t.test('an end that cannot be read is a minute', async (test) => {
  const { apply, runs, pass } = setUp(test, status({ token: 'tok', expirationTimestamp: 'soon' }))
  await apply()
  pass(40_000)
  await apply()
  test.equal(runs(), 1)
  pass(20_001)
  await apply()
  test.equal(runs(), 2)
})

await t.test('after a 401 there is another run, and not for each 401', async (test) => {
  const { apply, credential, runs, pass } = setUp(test, status({ token: 'tok' }))
  credential.refused(0)
  await apply()
  const first = credential.generation
  credential.refused(first)
  await apply()
  test.equal(runs(), 2)
  credential.refused(first)
  await apply()
  test.equal(runs(), 2, 'that was the one before')
  credential.refused(credential.generation)
  await apply()
  test.equal(runs(), 2, 'too soon')
  pass(2000)
  credential.refused(credential.generation)
  await apply()
  test.equal(runs(), 3)
})

await t.test('attack: nothing that a plugin writes is quoted, whatever goes wrong', async (test) => {
  const secret = 'hunter2'
  const rows: readonly (readonly [string, RegExp])[] = [
    [`echo ${secret} >&2; exit 1`, /it ended with 1$/],
    [`echo ${secret}`, /it gave no ExecCredential with a token or a certificate$/],
    [`echo '{"status":{"token":"${secret}"'`, /it gave no ExecCredential/],
    ['echo null', /it gave no ExecCredential/],
    ["echo '{}'", /it gave no ExecCredential/],
    [status({}), /it gave no ExecCredential/],
    [status({ token: { a: secret } }), /it gave no ExecCredential/],
    ['kill -9 $$', /it ended with SIGKILL$/],
    [`yes ${secret}`, /it wrote too much$/],
  ]
  for (const [body, message] of rows) {
    const { apply } = setUp(test, body)
    const error = (await apply().catch((reason: unknown) => reason)) as Error
    test.match(error.message, message, body)
    test.match(error.message, /^the exec plugin .*plugin of the kubeconfig did not help: /)
    test.notMatch(`${error.stack} ${String(error.cause)}`, /hunter2/)
  }
})

await t.test('a plugin that fails is not run for each question', async (test) => {
  const { apply, runs, pass } = setUp(test, 'exit 1')
  for (let index = 0; index < 5; index++) await test.rejects(apply())
  test.equal(runs(), 1)
  pass(2000)
  await test.rejects(apply())
  test.equal(runs(), 2)
})

await t.test('a plugin that hangs is killed, and all that it has started', async (test) => {
  const { apply, directory } = setUp(test, 'sleep 600 &\necho $! > "$here/pid"\nwait', { deadlineMs: 300 })
  await test.rejects(apply(), { message: /it gave no answer in 0.3 s$/ })
  const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
  const state = () => {
    try {
      return /State:\s+(\w)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    } catch {
      return 'gone'
    }
  }
  while (!['gone', 'Z'].includes(state() ?? '')) await sleep(5)
  test.pass('it is gone')
})

await t.test('a plugin that ends, and leaves somebody who holds its output', async (test) => {
  const { apply, directory } = setUp(
    test,
    'setsid sh -c \'echo $$ > "$1"; exec sleep 600\' x "$here/pid" &\nwhile ! test -s "$here/pid"; do sleep 0.01; done',
    { deadlineMs: 1000 },
  )
  await test.rejects(apply(), { message: /it gave no answer in 1 s$/ })
  process.kill(Number(readFileSync(join(directory, 'pid'), 'utf8')))
})

await t.test('a plugin that is not there', async (test) => {
  for (const [installHint, end] of [
    ['install it from example.org', /it cannot be started \(ENOENT\); install it from example.org$/],
    [undefined, /it cannot be started \(ENOENT\)$/],
  ] as const) {
    const plugin = {
      command: '/nowhere/plugin',
      apiVersion: 'v1',
      ...(installHint === undefined ? {} : { installHint }),
    }
    const credential = new ExecCredential({ plugin })
    await test.rejects(credential.applyAuthentication(user, {}), { message: end })
  }
})
