import t from 'tap'
import { parseAuditReportArguments, parseSandboxArguments } from '../../src/config/command-arguments.ts'

await t.test('sandbox: its own flags, in either form', async (test) => {
  test.strictSame(parseSandboxArguments([]), {
    check: false,
    rbac: [],
    as: [],
    verbose: false,
    port: undefined,
  })
  test.strictSame(
    parseSandboxArguments(['--check', '--rbac', 'a', '--as=u', '--rbac=b', '--as=group:g', '--port=0']),
    { check: true, rbac: ['a', 'b'], as: ['u', 'group:g'], verbose: false, port: 0 },
  )
  test.match(parseSandboxArguments(['-port=65535', '--verbose']), { port: 65_535, verbose: true })
})

await t.test('sandbox: all mistakes are reported at once, as by serve', async (test) => {
  const args = ['--imagestreams=watch', '--check=no', '--rbac=', '--as=', '--port=65536', 'there', '--port=1']
  test.throws(() => parseSandboxArguments(args), {
    name: 'ConfigError',
    problems: [
      '--imagestreams is not a flag of sandbox; --help lists them',
      '"there" is not a flag; flags begin with --',
      '--check takes no value',
      '--port is given twice',
      '--rbac= is not valid: expected a folder of RBAC manifests',
      '--as= is not valid: expected a user, group:NAME, or system:serviceaccount:NAMESPACE:NAME',
      '--port=65536 is not valid: expected a port, or 0 for any free one',
    ],
  })
  // Number takes an empty text for 0, and 1e3 for 1000.
  for (const port of ['', '1e3', '-1'])
    test.throws(() => parseSandboxArguments([`--port=${port}`]), {
      message: `--port=${port} is not valid: expected a port, or 0 for any free one`,
    })
  test.throws(() => parseSandboxArguments(['--port']), {
    message: '--port needs a value: a port, or 0 for any free one',
  })
})

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

await t.test('mistakes are named as those of serve', async (test) => {
  test.throws(() => parseAuditReportArguments(['--qci-namespace=A_B'], {}), {
    name: 'ConfigError',
    message: '--qci-namespace=A_B is not valid: expected a namespace',
  })
  test.throws(() => parseAuditReportArguments([], { QUAY_PROXY_QCI_NAMESPACE: 'A' }), {
    message: /^QUAY_PROXY_QCI_NAMESPACE=A is not valid/,
  })
  test.throws(() => parseAuditReportArguments(['a', '--jsn', '--json', '--json', '--qci-namespace'], {}), {
    name: 'ConfigError',
    problems: [
      '--jsn is not a flag of audit-report; did you mean --json? --help lists them',
      '--json is given twice',
      '--qci-namespace needs a value: a namespace',
    ],
  })
})
