import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { ConfigError } from '../../src/config/config-error.ts'
import { parseConfig } from '../../src/config/config.ts'

const filesFor = (test: Test): string[] => {
  const folder = test.testdir({ username: 'robot', password: 'hunter2', secret: 'a secret of 22 letters' })
  return [
    `--robot-username-file=${join(folder, 'username')}`,
    `--robot-password-file=${join(folder, 'password')}`,
    `--token-secret-file=${join(folder, 'secret')}`,
  ]
}

const problemsOf = (args: readonly string[], environment = {}): readonly string[] => {
  try {
    parseConfig(args, environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

await t.test('the files alone are enough: everything else has a fallback', async (test) => {
  const config = parseConfig(filesFor(test), {})
  test.match(config, {
    listen: { host: '127.0.0.1', port: 8400 },
    exposed: new URL('https://quay-proxy.ci.openshift.org'),
    gracePeriodMs: 10_000,
    tokenValidityMs: 21_600_000,
    upstream: new URL('https://quay.io'),
    upstreamRepository: 'openshift/ci',
    maxUpstreamConnections: 1024,
    upstreamLimits: 'quay',
    replicas: 1,
    stallTimeoutMs: 10_000,
    retryTimeoutMs: 8000,
    manifestCacheBytes: 268_435_456,
    cacheBytes: 53_687_091_200,
    tagTtlMs: 10_000,
    staleIfErrorMs: 3_600_000,
    blobDelivery: 'stream',
    qciNamespace: 'ocp',
    restrictedNamespaces: ['*-priv', '*-private'],
    unknownDigests: 'allow',
    authorization: 'enforce',
    tokenAudiences: [],
    identityTtlMs: 60_000,
    allowTtlMs: 60_000,
    denyTtlMs: 10_000,
    authorizationGraceMs: 300_000,
    trustedProxies: [],
    proxyProtocol: false,
    logLevel: 'info',
    warnings: [],
  })
  test.strictSame([config.metricsListen, config.kubeconfig, config.tls], [undefined, undefined, undefined])
  test.strictSame([config.sharedState, config.stateDir], [undefined, undefined])
  test.ok(Object.isFrozen(config))
})

await t.test('the exposed URL replaces the host', async (test) => {
  const files = filesFor(test)
  test.equal(
    parseConfig([...files, '--exposed-host=a.example:8443'], {}).exposed.href,
    'https://a.example:8443/',
  )
  test.equal(
    parseConfig([...files, '--exposed-url=http://127.0.0.1:8400'], {}).exposed.href,
    'http://127.0.0.1:8400/',
  )
})

await t.test(
  'both, the exposed host and the exposed URL, are a problem wherever they come from',
  async (test) => {
    const files = filesFor(test)
    test.strictSame(problemsOf([...files, '--exposed-host=a', '--exposed-url=http://b']), [
      '--exposed-url replaces --exposed-host: give only one',
    ])
    test.strictSame(problemsOf([...files, '--exposed-host=a'], { QUAY_PROXY_EXPOSED_URL: 'http://b' }), [
      'QUAY_PROXY_EXPOSED_URL replaces --exposed-host: give only one',
    ])
    test.strictSame(problemsOf([...files, '--exposed-url=http://b'], { QUAY_PROXY_EXPOSED_HOST: 'a' }), [
      '--exposed-url replaces QUAY_PROXY_EXPOSED_HOST: give only one',
    ])
  },
)

await t.test('the variables of OpenTelemetry are handed on, and no others', async (test) => {
  const openTelemetry = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }
  const environment = { ...openTelemetry, PATH: '/bin' }
  test.strictSame(parseConfig(filesFor(test), environment).openTelemetry, openTelemetry)
})

await t.test('the environment is a twin of the flags, and the flag wins', async (test) => {
  const environment = { QUAY_PROXY_GRACE_PERIOD: '1m', QUAY_PROXY_QCI_NAMESPACE: 'a' }
  const config = parseConfig([...filesFor(test), '--qci-namespace=b'], environment)
  test.match(config, { gracePeriodMs: 60_000, qciNamespace: 'b' })
})

await t.test('the PROXY protocol is read from somebody, or from nobody', async (test) => {
  const files = filesFor(test)
  test.strictSame(problemsOf([...files, '--proxy-protocol']), [
    '--proxy-protocol is read from --trusted-proxies alone: name the load balancers there',
  ])
  test.match(parseConfig([...files, '--proxy-protocol', '--trusted-proxies=10.0.0.1'], {}), {
    proxyProtocol: true,
    trustedProxies: ['10.0.0.1'],
  })
})

await t.test('a cache of blobs has blobs to keep', async (test) => {
  const files = filesFor(test)
  test.match(parseConfig([...files, '--cache-dir=/cache', '--cache-bytes=1Ti'], {}), {
    cacheDir: '/cache',
    cacheBytes: 1_099_511_627_776,
  })
  const stateDirOf = (...flags: readonly string[]) => parseConfig([...files, ...flags], {}).stateDir
  test.strictSame(
    [
      stateDirOf('--cache-dir=/cache'),
      stateDirOf('--cache-dir=/cache', '--state-dir=/state'),
      stateDirOf('--cache-dir=/cache', '--logins=robots'),
      stateDirOf(),
    ],
    ['/cache/state', '/state', undefined, undefined],
    'a restart with a warm cache knows the digests as well',
  )
  test.strictSame(problemsOf([...files, '--cache-dir=/cache', '--blob-delivery=redirect']), [
    '--cache-dir has no blobs to cache with --blob-delivery=redirect: give one of the two',
  ])
})

await t.test('a proxy of robots uses no cluster, and no index of restricted images', async (test) => {
  const files = filesFor(test)
  test.match(parseConfig([...files, '--logins=robots'], {}), { logins: 'robots', restrictedIndex: 'off' })
  test.match(parseConfig(files, {}), { logins: 'all', restrictedIndex: 'on' })
  const clusterFlags = [
    '--kubeconfig=package.json',
    '--allow-anonymous',
    '--authorization=audit',
    '--imagestreams=watch',
    '--restricted-index=on',
    '--mirror-url=http://mirror:8090',
  ]
  test.strictSame(
    problemsOf([...files, '--logins=robots', ...clusterFlags]),
    clusterFlags.map((flag) => `--logins=robots uses no cluster: leave out ${flag.replace(/=.*/, '')}`),
  )
})

await t.test('flags without an effect are warnings', async (test) => {
  test.match(parseConfig([...filesFor(test), '--interval=1h'], {}).warnings, [/^--interval has no effect/])
})

await t.test('a flag that lets more people in than it will is a warning', async (test) => {
  const { authorization, warnings } = parseConfig([...filesFor(test), '--authorization=audit'], {})
  test.equal(authorization, 'audit')
  test.match(warnings, [/^--authorization=audit enforces the rule of qci-appci/])
})

await t.test('all problems at once: of values, of files', async (test) => {
  const args = ['--grace-period=10', '--kubeconfig=/away', '--robot-username-file=/away']
  args.push('--trusted-proxies=10.0.0.0/33')
  const problems = problemsOf(args, { QUAY_PROXY_LOG_LEVEL: 'loud' })
  test.strictSame(problems, [
    '--grace-period=10 is not valid: expected a duration with its unit, such as 90s, 5m or 6h',
    '--trusted-proxies=10.0.0.0/33 is not valid: expected a comma-separated list of IP addresses or networks from /1 on, such as 10.128.0.0/14',
    'QUAY_PROXY_LOG_LEVEL=loud is not valid: expected trace or debug or info or warn or error or fatal or silent',
    '--robot-password-file is missing: upstream is read with the credential of a robot',
    '--token-secret-file is missing: it signs the logins of the robot',
    '--kubeconfig: /away cannot be read (ENOENT)',
  ])
})

await t.test(
  'a mistyped flag is told without what is missing, because it may be what is missing',
  async (test) => {
    test.strictSame(problemsOf(['--robot-usename-file=/a', '--grace-period=10', '--kubeconfig=/away']), [
      '--robot-usename-file is not a flag; did you mean --robot-username-file? --help lists them',
      '--grace-period=10 is not valid: expected a duration with its unit, such as 90s, 5m or 6h',
    ])
  },
)

await t.test('the settings, and the level of the log from a file', async (test) => {
  const files = filesFor(test)
  const folder = test.testdirName
  writeFileSync(join(folder, 'level'), 'debug\n')
  writeFileSync(join(folder, 'wrong'), 'loud')
  const level = `--log-level-file=${join(folder, 'level')}`
  const { settings, logLevelFile, printConfig } = parseConfig([...files, level, '--print-config'], {})
  test.match(
    settings.find(({ name }) => name === 'log-level-file'),
    { value: join(folder, 'level'), from: '--log-level-file' },
  )
  test.strictSame([logLevelFile?.parse(['debug\n']), printConfig], ['debug', true])
  test.strictSame(problemsOf([...files, `--log-level-file=${join(folder, 'wrong')}`]), [
    '--log-level-file: it holds no log level: expected trace or debug or info or warn or error or fatal or silent',
  ])
})

await t.test('a problem alone keeps from starting, with its message', async (test) => {
  test.throws(() => parseConfig([...filesFor(test), '--upstream=quay.io'], {}), {
    name: 'ConfigError',
    message: '--upstream=quay.io is not valid: expected an origin, such as https://quay.io',
  })
})

await t.test('attack: a password in the URL of any flag is neither accepted nor printed', async (test) => {
  for (const [flag, url] of [
    ['shared-state', 'redis://:hunter2@127.0.0.1'],
    ['shared-state', 'redis://proxy:hunter2@127.0.0.1:6379/1'],
    ['shared-state', 'http://proxy:hunter2@127.0.0.1'],
    ['shared-state', 'redis://proxy:hun/ter2@127.0.0.1'],
    ['shared-state', 'proxy:hunter2@127.0.0.1'],
    ['upstream', 'https://proxy:hunter2@quay.io'],
    ['exposed-url', 'https://proxy:hun@ter2@quay.io'],
  ]) {
    for (const problems of [
      problemsOf([...filesFor(test), `--${flag}=${url}`]),
      problemsOf(filesFor(test), { [`QUAY_PROXY_${flag!.toUpperCase().replaceAll('-', '_')}`]: url }),
    ]) {
      test.equal(problems.length, 1)
      test.notMatch(problems.join(), /hun|ter2/)
    }
  }
})

await t.test('shared state: the address and the files', async (test) => {
  const folder = test.testdir({
    password: ' hunter2\n',
    empty: '\n',
    username: 'r',
    robot: 'p',
    secret: 'a secret of 22 letters',
  })
  const files = [
    `--robot-username-file=${join(folder, 'username')}`,
    `--robot-password-file=${join(folder, 'robot')}`,
    `--token-secret-file=${join(folder, 'secret')}`,
  ]
  const password = `--shared-state-password-file=${join(folder, 'password')}`
  const config = parseConfig(
    [...files, '--shared-state=rediss://proxy@valkey:6380/1', password, '--state-dir=/state'],
    {},
  )
  test.match(config, {
    sharedState: new URL('rediss://proxy@valkey:6380/1'),
    stateDir: '/state',
    sharedStateCa: undefined,
  })
  const read = config.sharedStatePassword!
  test.equal(read.parse([' hunter2\n']), 'hunter2')
  test.same(problemsOf([...files, password, `--shared-state-ca-file=${join(folder, 'password')}`]), [
    '--shared-state-password-file needs --shared-state',
    '--shared-state-ca-file needs --shared-state',
    '--shared-state-ca-file: it holds no PEM certificate',
  ])
  test.match(
    problemsOf([
      ...files,
      '--shared-state=redis://valkey',
      `--shared-state-password-file=${join(folder, 'empty')}`,
      `--shared-state-ca-file=${join(folder, 'password')}`,
    ]),
    [/is for rediss:/, /password-file: it holds no password/, /no PEM certificate/],
  )
})
