import t from 'tap'
import { collectFlags, type Environment } from '../../src/config/command-line.ts'

const gather = (args: readonly string[], environment: Environment = {}) => {
  const problems: string[] = []
  const { texts, warnings } = collectFlags(args, environment, problems)
  return { texts: Object.fromEntries(texts), warnings, problems }
}

await t.test('a flag has one hyphen or two, its value behind = or a space', async (test) => {
  for (const args of [
    ['--exposed-host=a'],
    ['--exposed-host', 'a'],
    ['-exposed-host=a'],
    ['-exposed-host', 'a'],
  ]) {
    const { texts, problems } = gather(args)
    test.strictSame(texts, { 'exposed-host': { text: 'a', origin: '--exposed-host' } }, args.join(' '))
    test.strictSame(problems, [])
  }
})

await t.test('a value may hold = and be empty', async (test) => {
  test.equal(gather(['--token-audience=a=b']).texts['token-audience']?.text, 'a=b')
  test.equal(gather(['--token-audience=']).texts['token-audience']?.text, '')
})

await t.test('an old name is the flag, and counts as given', async (test) => {
  test.strictSame(gather(['--gracePeriod=5s']).texts, {
    'grace-period': { text: '5s', origin: '--gracePeriod' },
  })
  test.strictSame(gather(['--gracePeriod=5s', '--grace-period=6s']).problems, [
    '--grace-period is given twice',
  ])
})

await t.test('what has no effect is a warning with its reason', async (test) => {
  const { texts, warnings, problems } = gather(['--interval=1h', '--ignore-sar-check'])
  test.match(warnings, [/^--interval has no effect: ./, /^--ignore-sar-check has no effect: ./])
  test.strictSame([texts, problems], [{}, []])
})

await t.test('a switch of Go takes no value from the argument behind it', async (test) => {
  for (const flag of ['--ignore-sar-check', '-ignore-sar-check', '--ignore-sar-check=true']) {
    const { texts, problems } = gather([flag, '--exposed-host', 'a'])
    test.equal(texts['exposed-host']?.text, 'a', flag)
    test.strictSame(problems, [], flag)
  }
})

await t.test('a switch of ours means true without a value', async (test) => {
  const rows = [
    ['--allow-anonymous', 'true'],
    ['-allow-anonymous', 'true'],
    ['--allow-anonymous=true', 'true'],
    ['--allow-anonymous=false', 'false'],
  ] as const
  for (const [flag, text] of rows) {
    const { texts, problems } = gather([flag, '--exposed-host', 'a'], { QUAY_PROXY_ALLOW_ANONYMOUS: 'false' })
    test.strictSame([texts['allow-anonymous']?.text, texts['exposed-host']?.text, problems], [text, 'a', []])
  }
  test.strictSame(gather([], { QUAY_PROXY_ALLOW_ANONYMOUS: 'true' }).texts, {
    'allow-anonymous': { text: 'true', origin: 'QUAY_PROXY_ALLOW_ANONYMOUS' },
  })
})

await t.test('each mistake is a sentence that names it, all of them at once', async (test) => {
  const args = [
    'serve-it',
    '--bogus=1',
    '--upstream=a',
    '--upstream=b',
    '-x',
    '--constructor',
    '--kubeconfig',
  ]
  test.strictSame(gather(args).problems, [
    '"serve-it" is not a flag; flags begin with --',
    '--bogus is not a flag; --help lists them',
    '--upstream is given twice',
    '--x is not a flag; --help lists them',
    '--constructor is not a flag; --help lists them',
    '--kubeconfig needs a value: the path of a file',
  ])
  test.strictSame(gather(['--', 'a']).problems, ['"a" is not a flag; flags begin with --'])
})

await t.test('the environment stands in, and the flag wins', async (test) => {
  const environment = { QUAY_PROXY_UPSTREAM: 'b', QUAY_PROXY_LOG_LEVEL: 'warn', PATH: '/bin' }
  const { texts, problems } = gather(['--upstream=a'], environment)
  test.strictSame(texts, {
    upstream: { text: 'a', origin: '--upstream' },
    'log-level': { text: 'warn', origin: 'QUAY_PROXY_LOG_LEVEL' },
  })
  test.strictSame(problems, [])
})

await t.test('a variable of ours that is none is a mistake, without its value', async (test) => {
  const environment = { QUAY_PROXY_TOKEN_SECRET: 'hunter2', QUAY_PROXY_UNSET: undefined }
  test.strictSame(gather([], environment).problems, [
    'QUAY_PROXY_TOKEN_SECRET is not the name of a flag; --help lists them',
  ])
})

await t.test('the variables of a Service called quay-proxy are none of our business', async (test) => {
  const environment = {
    QUAY_PROXY_PORT: 'tcp://10.0.0.1:443',
    QUAY_PROXY_SERVICE_HOST: '10.0.0.1',
    QUAY_PROXY_SERVICE_PORT: '443',
    QUAY_PROXY_SERVICE_PORT_HTTPS: '443',
    QUAY_PROXY_PORT_443_TCP: 'tcp://10.0.0.1:443',
    QUAY_PROXY_PORT_443_TCP_ADDR: '10.0.0.1',
    QUAY_PROXY_METRICS_PORT_9090_TCP_PROTO: 'tcp',
  }
  test.strictSame(gather([], environment), { texts: {}, warnings: [], problems: [] })
})
