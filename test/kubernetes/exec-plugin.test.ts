import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { runPlugin } from '../../src/kubernetes/exec-plugin.ts'
import { createPlugin, status } from './exec-plugins.ts'

await t.test('a run gives a token or a certificate, and its end', async (test) => {
  const cluster = { name: 'c', server: 'https://api', caData: 'Y2E=', skipTLSVerify: false }
  for (const [fields, credential, expires] of [
    [{ token: 'tok', expirationTimestamp: 'soon' }, { headers: { Authorization: 'Bearer tok' } }, 'soon'],
    [{ token: 'tok', expirationTimestamp: 5 }, { headers: { Authorization: 'Bearer tok' } }, undefined],
    [
      { clientCertificateData: 'cert', clientKeyData: 'key' },
      { headers: {}, cert: 'cert', key: 'key' },
      undefined,
    ],
  ] as const) {
    const { plugin, directory, runs } = createPlugin(
      test,
      `echo "$KUBERNETES_EXEC_INFO" > "$here/told"\n${status(fields)}`,
      [{ name: 'SECRET', value: 'x' }],
    )
    test.strictSame(await runPlugin({ plugin, cluster }), { credential, expires })
    test.match(readFileSync(join(directory, 'told'), 'utf8'), '"server":"https://api"')
    test.equal(runs(), 1)
  }
})

await t.test('attack: no error quotes the output of a plugin', async (test) => {
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
    const { plugin } = createPlugin(test, body)
    const error = (await runPlugin({ plugin }).catch((reason: unknown) => reason)) as Error
    test.match(error.message, message, body)
    test.match(error.message, /^the exec plugin .*plugin of the kubeconfig failed: /)
    test.notMatch(`${error.stack} ${String(error.cause)}`, /hunter2/)
  }
})

await t.test('a plugin that hangs is killed with all processes that it has started', async (test) => {
  const { plugin, directory } = createPlugin(test, 'sleep 600 &\necho $! > "$here/pid"\nwait')
  await test.rejects(runPlugin({ plugin, deadlineMs: 300 }), { message: /it gave no answer in 0.3 s$/ })
  const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
  const state = () => {
    try {
      return /State:\s+(\w)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    } catch {
      return 'gone'
    }
  }
  while (!['gone', 'Z'].includes(state() ?? '')) await sleep(5)
  test.pass('the process is gone')
})

await t.test(
  'a plugin that ends, but leaves a process with its output open, fails at the deadline',
  async (test) => {
    const { plugin, directory } = createPlugin(
      test,
      'setsid sh -c \'echo $$ > "$1"; exec sleep 600\' x "$here/pid" &\nwhile ! test -s "$here/pid"; do sleep 0.01; done',
    )
    await test.rejects(runPlugin({ plugin, deadlineMs: 1000 }), { message: /it gave no answer in 1 s$/ })
    process.kill(Number(readFileSync(join(directory, 'pid'), 'utf8')))
  },
)

await t.test('a plugin that does not exist', async (test) => {
  for (const [installHint, end] of [
    ['install it from example.org', /it cannot be started \(ENOENT\); install it from example.org$/],
    [undefined, /it cannot be started \(ENOENT\)$/],
  ] as const) {
    const plugin = {
      command: '/nowhere/plugin',
      apiVersion: 'v1',
      ...(installHint === undefined ? {} : { installHint }),
    }
    await test.rejects(runPlugin({ plugin }), { message: end })
  }
})
