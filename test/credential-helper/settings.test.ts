import t from 'tap'
import { readSettings, variableOf, type Environment } from '../../src/credential-helper/settings.ts'

const defaults = {
  hosts: ['quay-proxy.ci.openshift.org'],
  tokenFile: undefined,
  serviceAccount: undefined,
  duration: '1h',
  context: undefined,
  clusterUrl: undefined,
}
const given = {
  hosts: 'Proxy.example, proxy.example:8443',
  'token-file': '/run/token',
  'service-account': 'my-team/image-puller',
  duration: '30m',
  context: 'app.ci',
  'cluster-url': 'https://api.ci.example:6443/',
}
const read = {
  hosts: ['proxy.example', 'proxy.example:8443'],
  tokenFile: '/run/token',
  serviceAccount: { namespace: 'my-team', name: 'image-puller' },
  duration: '30m',
  context: 'app.ci',
  clusterUrl: 'https://api.ci.example:6443',
}

await t.test('the defaults, also for variables that are empty', async (test) => {
  test.strictSame(readSettings([], {}), defaults)
  const empty = Object.fromEntries(Object.keys(given).map((name) => [variableOf(name), '']))
  test.strictSame(readSettings([], empty), defaults)
})

await t.test('from flags, and from variables; a flag counts more', async (test) => {
  const flags = Object.entries(given).map(([name, value]) => `--${name}=${value}`)
  const environment: Environment = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [variableOf(name), value]),
  )
  test.strictSame(readSettings(flags, {}), read)
  test.strictSame(readSettings([], environment), read)
  test.strictSame(readSettings(['--hosts=other.example'], environment).hosts, ['other.example'])
  test.equal(variableOf('token-file'), 'DOCKER_CREDENTIAL_QUAY_PROXY_TOKEN_FILE')
})

await t.test('an unreadable setting is refused, without its text', async (test) => {
  for (const [flag, message] of [
    [
      '--hosts=https://proxy.example',
      /^--hosts or DOCKER_CREDENTIAL_QUAY_PROXY_HOSTS is not a list of hosts/,
    ],
    ['--hosts=proxy.example/ocp', /is not a list of hosts/],
    ['--hosts=*', /is not a list of hosts/],
    ['--service-account=image-puller', /is not of the form namespace\/name/],
    ['--duration=soon', /is not a duration, such as 1h/],
    ['--cluster-url=api', /is not an origin/],
    ['hunter2', /^an argument is none of /],
    ['--token=hunter2', /^an argument is none of --hosts=\.\.\., --token-file=/],
  ] as const)
    test.throws(() => readSettings([flag], {}), { message }, flag)
})

await t.test('attack: a service account whose name is a flag of oc', async (test) => {
  for (const account of ['my-team/--as=system:admin', '--as=x/y', 'my-team/a b', 'my-team/a/b'])
    test.throws(() => readSettings([`--service-account=${account}`], {}), { message: /of the form/ }, account)
})
