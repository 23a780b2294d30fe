import t from 'tap'
import { collectFlags, type CommandSyntax, type Environment } from '../../src/config/command-line.ts'
import { flag, givenOrNot, nonEmpty, repeatedFlag } from '../../src/config/flag-kinds.ts'
import { aliases, deprecatedFlags, flags } from '../../src/config/flags.ts'

const serve: CommandSyntax = { flags, aliases, deprecated: deprecatedFlags, checksEnvironment: true }

const gather = (args: readonly string[], environment: Environment = {}, syntax = serve) => {
  const problems: string[] = []
  const { given, positionals, warnings } = collectFlags(syntax, args, environment, problems)
  return { given: Object.fromEntries(given), positionals, warnings, problems }
}

await t.test('a flag has one hyphen or two, its value behind = or a space', async (test) => {
  for (const args of [
    ['--exposed-host=a'],
    ['--exposed-host', 'a'],
    ['-exposed-host=a'],
    ['-exposed-host', 'a'],
  ]) {
    const { given, problems } = gather(args)
    test.strictSame(given, { exposedHost: { texts: ['a'], origin: '--exposed-host' } }, args.join(' '))
    test.strictSame(problems, [])
  }
})

await t.test('a value may hold = and be empty', async (test) => {
  test.strictSame(gather(['--token-audience=a=b']).given['tokenAudiences']?.texts, ['a=b'])
  test.strictSame(gather(['--token-audience=']).given['tokenAudiences']?.texts, [''])
})

await t.test('an old name is the flag, and counts as given', async (test) => {
  test.strictSame(gather(['--gracePeriod=5s']).given, {
    gracePeriodMs: { texts: ['5s'], origin: '--gracePeriod' },
  })
  test.strictSame(gather(['--gracePeriod=5s', '--grace-period=6s']).problems, [
    '--grace-period is given twice',
  ])
})

await t.test('a flag without an effect is a warning with the reason', async (test) => {
  const { given, warnings, problems } = gather(['--interval=1h', '--ignore-sar-check'])
  test.match(warnings, [/^--interval has no effect: ./, /^--ignore-sar-check has no effect: ./])
  test.strictSame([given, problems], [{}, []])
})

await t.test('a switch of Go takes no value from the argument behind it', async (test) => {
  for (const flag of ['--ignore-sar-check', '-ignore-sar-check', '--ignore-sar-check=true']) {
    const { given, problems } = gather([flag, '--exposed-host', 'a'])
    test.equal(given['exposedHost']?.texts[0], 'a', flag)
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
    const { given, problems } = gather([flag, '--exposed-host', 'a'], { QUAY_PROXY_ALLOW_ANONYMOUS: 'false' })
    test.strictSame(
      [given['allowAnonymous']?.texts, given['exposedHost']?.texts, problems],
      [[text], ['a'], []],
    )
  }
  test.strictSame(gather([], { QUAY_PROXY_ALLOW_ANONYMOUS: 'true' }).given, {
    allowAnonymous: { texts: ['true'], origin: 'QUAY_PROXY_ALLOW_ANONYMOUS' },
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
    '--bogus is not a flag; --help lists them',
    '-x is not a flag; --help lists them',
    '--constructor is not a flag; --help lists them',
    '"serve-it" is not a flag; flags begin with --',
    '--upstream is given twice',
    '--kubeconfig needs a value: the path of a file',
  ])
  test.strictSame(gather(['--', 'a']).problems, ['"a" is not a flag; flags begin with --'])
})

await t.test('the environment stands in, and the flag wins', async (test) => {
  const environment = { QUAY_PROXY_UPSTREAM: 'b', QUAY_PROXY_LOG_LEVEL: 'warn', PATH: '/bin' }
  const { given, problems } = gather(['--upstream=a'], environment)
  test.strictSame(given, {
    upstream: { texts: ['a'], origin: '--upstream' },
    logLevel: { texts: ['warn'], origin: 'QUAY_PROXY_LOG_LEVEL' },
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
  test.strictSame(gather([], environment), { given: {}, positionals: [], warnings: [], problems: [] })
})

const own: CommandSyntax = {
  command: 'own',
  flags: {
    level: flag('level', undefined, 'a level', { expected: 'a level', parse: nonEmpty }),
    quick: flag('quick', 'false', 'whether it is quick', givenOrNot),
    names: repeatedFlag('name', 'a name', { expected: 'a name', parse: nonEmpty }),
  },
  takesPositionals: true,
}

await t.test(
  'a command with positionals, switches and flags that may be given several times',
  async (test) => {
    const args = ['a', '--name=b', '--quick', 'c', '--name', 'd']
    test.strictSame(gather(args, { QUAY_PROXY_LEVEL: 'high', QUAY_PROXY_OTHER: 'x' }, own), {
      given: {
        names: { texts: ['b', 'd'], origin: '--name' },
        quick: { texts: ['true'], origin: '--quick' },
        level: { texts: ['high'], origin: 'QUAY_PROXY_LEVEL' },
      },
      positionals: ['a', 'c'],
      warnings: [],
      problems: [],
    })
    const mistakes = ['--quick=no', '--nme=b', '--level=a', '--level=b', '--name']
    test.strictSame(gather(mistakes, {}, own).problems, [
      '--nme is not a flag of own; did you mean --name? --help lists them',
      '--quick takes no value',
      '--level is given twice',
      '--name needs a value: a name',
    ])
  },
)
