import t from 'tap'
import { parseAuditReportArguments, parseExplainArguments } from '../../src/config/commands.ts'

await t.test('audit-report: files, and what the flags of serve say', async (test) => {
  test.strictSame(parseAuditReportArguments([], {}), { files: [], json: false, qciNamespace: 'ocp' })
  test.strictSame(parseAuditReportArguments(['a', '--json', '--qci-namespace=b', 'c'], {}), {
    files: ['a', 'c'],
    json: true,
    qciNamespace: 'b',
  })
  const environment = { QUAY_PROXY_QCI_NAMESPACE: 'from-environment' }
  test.equal(parseAuditReportArguments([], environment).qciNamespace, 'from-environment')
  test.equal(parseAuditReportArguments(['--qci-namespace', 'b'], environment).qciNamespace, 'b')
})

await t.test('explain: one reference', async (test) => {
  test.strictSame(parseExplainArguments(['ocp/4.5:base', '--unknown-digests=deny'], {}), {
    reference: 'ocp/4.5:base',
    qciNamespace: 'ocp',
    restrictedNamespaces: ['*-priv', '*-private'],
    unknownDigests: 'deny',
    monorepo: 'openshift/ci',
  })
  for (const args of [[], ['a', 'b']])
    test.throws(() => parseExplainArguments(args, {}), { name: 'ConfigError', message: /^explain takes one/ })
})

await t.test('mistakes are named as those of serve', async (test) => {
  test.throws(() => parseExplainArguments(['a', '--json'], {}), { name: 'ConfigError', message: /--json/ })
  test.throws(() => parseAuditReportArguments(['--qci-namespace=A_B'], {}), {
    name: 'ConfigError',
    message: '--qci-namespace=A_B is not valid: expected a namespace',
  })
  test.throws(() => parseAuditReportArguments([], { QUAY_PROXY_QCI_NAMESPACE: 'A' }), {
    message: /^QUAY_PROXY_QCI_NAMESPACE=A is not valid/,
  })
})
