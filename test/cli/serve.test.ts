import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { run } from '../../src/cli/run.ts'
import { version } from '../../src/config/version.ts'
import { ask } from '../sandbox/quay/quay-client.ts'
import { undocumentedIn } from '../support/log-fields.ts'
import { anotherSelfSigned, selfSigned } from '../support/tls.ts'
import { ended, fakeIo, refused } from './fake-io.ts'
import { good, secretFlags, surroundings, write } from './surroundings.ts'

const secret = 'hunter2-hunter2-hunter2'

await t.test('bad flags: all of them at once, and nothing about what is missing', async (test) => {
  const args = [
    'serve',
    '--bogus',
    '--upstream=a',
    '--upstream=b',
    '--grace-period=10',
    'there',
    '--kubeconfig',
  ]
  await refused(
    test,
    args,
    [
      '--bogus is not a flag; --help lists them',
      '"there" is not a flag; flags begin with --',
      '--upstream is given twice',
      '--kubeconfig needs a value: the path of a file',
      'QUAY_PROXY_NONSENSE is not the name of a flag; --help lists them',
      '--grace-period=10 is not valid: expected a duration with its unit, such as 90s, 5m or 6h',
      /--upstream=a is not valid: expected an origin/,
    ],
    { QUAY_PROXY_NONSENSE: secret },
  )
})

await t.test('a mistyped flag is the only problem that is reported', async (test) => {
  for (const args of [['--listen-adr=:1'], ['--listen-adr', ':1'], ['-listen-adr', ':1']]) {
    const [typed = ''] = args[0]!.split('=')
    const problem = `${typed} is not a flag; did you mean --listen-addr? --help lists them`
    await refused(test, ['serve', ...args], [problem])
  }
  const variable =
    'QUAY_PROXY_LISTEN_ADR is not the name of a flag; did you mean QUAY_PROXY_LISTEN_ADDR? --help lists them'
  await refused(test, ['serve'], [variable], { QUAY_PROXY_LISTEN_ADR: ':1' })
})

await t.test('--print-config: each setting, and where it comes from; no content of a file', async (test) => {
  const path = write(test, { ...good, secret: 'hunter2' })
  const environment = { QUAY_PROXY_LOG_LEVEL: 'warn' }
  const args = ['serve', '--print-config', '--upstream=https://cache.example', ...secretFlags(path)]
  const { code, stdout, stderr } = await ended(args, { environment })
  test.equal(code, 0)
  test.match(stderr, [/^quay-proxy: --token-secret-file: line 1 of the token secret has fewer than 32/])
  for (const line of [
    /^--upstream=https:\/\/cache\.example +# --upstream$/m,
    /^--log-level=warn +# QUAY_PROXY_LOG_LEVEL$/m,
    /^--qci-namespace=ocp +# default$/m,
    /^--token-secret-file=\/.*secret +# --token-secret-file$/m,
    /^# not set: .*--kubeconfig /m,
  ])
    test.match(stdout, line)
  test.notMatch(stdout, 'hunter2')
  await refused(
    test,
    ['serve', '--print-config', '--upstream=x', ...secretFlags(path)],
    [/--upstream=x is not/],
  )
})

await t.test('bad files, each in its own way: the reason, never the content', async (test) => {
  const [{ cert }, { key }] = [selfSigned(), anotherSelfSigned()]
  const path = write(test, { garbage: secret, empty: '', cert: cert ?? '', key: key ?? '' })
  const folder = path('')
  await refused(
    test,
    [
      `--robot-dockerconfig-file=${path('garbage')}`,
      `--token-secret-file=${path('empty')}`,
      `--tls-cert-file=${path('cert')}`,
      `--tls-key-file=${path('key')}`,
      `--upstream-ca-file=${path('garbage')}`,
      `--kubeconfig=${folder}`,
    ],
    [
      '--robot-dockerconfig-file: the dockerconfigjson is not valid JSON',
      '--token-secret-file: the token secret file is empty; make one with: openssl rand -hex 32',
      /--tls-cert-file and --tls-key-file: they hold no PEM certificate with its .*mismatch/,
      '--upstream-ca-file: it holds no PEM certificate',
      `--kubeconfig: ${folder} cannot be read (EISDIR)`,
    ],
  )
})

await t.test('--require-strong-secrets refuses a token secret that could be guessed', async (test) => {
  const path = write(test, { ...good, secret })
  await refused(
    test,
    [...secretFlags(path), '--require-strong-secrets'],
    [
      /--token-secret-file: line 1 of the token secret has fewer than 32 .*: openssl rand -hex 32; --require-strong-secrets refuses that$/,
    ],
  )
})

await t.test('a kubeconfig of garbage', async (test) => {
  const path = write(test, { ...good, kubeconfig: `users: [{token: ${secret}` })
  const kubeconfig = path('kubeconfig')
  const problem = `--kubeconfig: ${kubeconfig} is not a valid kubeconfig`
  await refused(test, [...secretFlags(path), `--kubeconfig=${kubeconfig}`], [problem])
})

await t.test('a kubeconfig that names a file which is not there', async (test) => {
  const cluster = "{ server: 'https://127.0.0.1:1', certificate-authority: /away.crt }"
  const kubeconfig = `
clusters: [{ name: c, cluster: ${cluster} }]
users: [{ name: u, user: { token: ${secret} } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`
  const path = write(test, { ...good, kubeconfig })
  const file = path('kubeconfig')
  const problem = `--kubeconfig: ${file} names /away.crt as certificate-authority, which cannot be read (ENOENT)`
  await refused(test, [...secretFlags(path), `--kubeconfig=${file}`], [problem])
})

await t.test('an address in use', async (test) => {
  const { flags } = await surroundings(test)
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  test.teardown(() => other.close())
  const address = `127.0.0.1:${(other.address() as AddressInfo).port}`
  const problem = new RegExp(`--listen-addr: .*EADDRINUSE.* ${address}`)
  await refused(test, [...flags, `--listen-addr=${address}`], [problem])
})

await t.test('it serves until a signal ends it, and logs its warnings first', async (test) => {
  const { flags } = await surroundings(test)
  const { io, printed, errors, log, ends, signals } = fakeIo()
  const args = ['serve', ...flags, '--listen-addr=127.0.0.1:0', '--grace-period=0', '--interval=1h']
  test.equal(await run(args, io), 0)
  const lines = log.map((line) => JSON.parse(line) as Readonly<Record<string, string>>)
  test.match(lines[0], { level: 'info', msg: 'starting', version, node: process.version })
  test.match(lines[0]?.['settings'], [/^--listen-addr=127\.0\.0\.1:0$/])
  test.strictSame(undocumentedIn(lines), [])
  test.match(lines[1], { level: 'warn', msg: /--interval has no effect/ })
  const { url = '' } = lines.find(({ msg }) => msg === 'listening') ?? {}
  test.equal((await ask(`${url}/v2/`)).status, 401)
  const [[from, end] = []] = ends
  test.strictSame([ends.length, from], [1, 'signal'])
  const listeners = Object.fromEntries(signals)
  listeners['SIGHUP']?.()
  test.equal(log.filter((line) => line.includes('looked at the files')).length, 1)
  listeners['SIGUSR2']?.()
  test.match(log.at(-1), '--heap-snapshot-dir is not given')
  await end?.()
  await test.rejects(ask(url))
  test.strictSame([printed, errors], [[], []])
})
