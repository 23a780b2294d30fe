import t from 'tap'
import { parseExplainArguments } from '../../src/config/explain-arguments.ts'

const parse = (...args: readonly string[]) => parseExplainArguments(args, {})

await t.test('one reference, with the defaults of serve', async (test) => {
  test.match(parse('ocp/4.5:base', '--unknown-digests=deny'), {
    image: 'ocp/4.5:base',
    server: undefined,
    rbac: [],
    asUser: undefined,
    asGroup: [],
    qciNamespace: 'ocp',
    restrictedNamespaces: ['*-priv', '*-private'],
    unknownDigests: 'deny',
    monorepo: 'openshift/ci',
    exposedHost: 'quay-proxy.ci.openshift.org',
    grantAdvice: 'oc-policy',
  })
  for (const args of [[], ['a', 'b']])
    test.throws(() => parse(...args), { name: 'ConfigError', message: /^explain takes one/ })
  test.throws(() => parse('a', '--json'), { message: '--json is not a flag of explain; --help lists them' })
})

await t.test('online: a server, from the environment as well', async (test) => {
  const { server, tokenFile } = parse('a/b', '--server=https://proxy.example', '--token-file=-')
  test.strictSame([server?.origin, tokenFile], ['https://proxy.example', '-'])
  const environment = { QUAY_PROXY_SERVER: 'https://other.example' }
  test.equal(parseExplainArguments(['a/b'], environment).server?.host, 'other.example')
  test.throws(() => parse('a/b', '--server=proxy.example'), { message: /expected an origin, such as https/ })
  test.throws(() => parse('a/b', '--token-file=t'), { message: /are for --server/ })
})

await t.test('offline: several folders, and who pulls', async (test) => {
  const { rbac, asUser, asGroup } = parse(
    'a/b',
    '--rbac=one',
    '--rbac=two',
    '--as-user=alice',
    '--as-group=x',
    '--as-group=y',
  )
  test.strictSame({ rbac, asUser, asGroup }, { rbac: ['one', 'two'], asUser: 'alice', asGroup: ['x', 'y'] })
  test.throws(() => parse('a/b', '--rbac=one'), {
    message: '--rbac needs --as-user or --as-group: who pulls?',
  })
  test.throws(() => parse('a/b', '--as-user=a'), { message: /are for --rbac: a proxy knows who you are/ })
  test.throws(() => parse('a/b', '--rbac=one', '--as-user=a', '--server=https://p.example'), {
    message: /give one of the two/,
  })
})
