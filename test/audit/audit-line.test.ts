import t from 'tap'
import { parseLine } from '../../src/audit/audit-line.ts'

const time = '2026-11-20T21:55:19.000Z'
const audit = {
  level: 'warn',
  time,
  difference: 'loss',
  requestId: 'a',
  identity: 'system:serviceaccount:my-team:puller',
  kind: 'service-account',
  namespace: 'ocp',
  image: 'ocp_4.5_base',
  openedBy: ['image-puller', 'qci-wide'],
  msg: 'audit',
}
const line = {
  time,
  difference: 'loss',
  identity: 'system:serviceaccount:my-team:puller',
  kind: 'service-account',
  namespace: 'ocp',
  image: 'ocp_4.5_base',
  openedBy: ['image-puller', 'qci-wide'],
}

await t.test("an audit line, with a log collector's prefix", async (test) => {
  for (const prefix of ['', `${time} stdout F `, '[pod/quay-proxy-1/quay-proxy] '])
    test.same(parseLine(prefix + JSON.stringify(audit)), { sort: 'audit', line }, prefix)
  const { namespace, ...nowhere } = audit
  test.same(parseLine(JSON.stringify({ ...nowhere, openedBy: 'x' })), {
    sort: 'audit',
    line: { ...line, namespace: undefined, openedBy: [] },
  })
  test.equal(namespace, 'ocp')
})

await t.test('a request with a decision, and other lines', async (test) => {
  const request = { msg: 'request', time, decision: 'allowed' }
  test.strictSame(parseLine(JSON.stringify(request)), { sort: 'decided', time })
  for (const route of ['/access', '/'])
    test.strictSame(parseLine(JSON.stringify({ ...request, route })), { sort: 'other' }, 'no pull')
  for (const other of [{ ...request, decision: undefined }, { msg: 'listening', time }, {}])
    test.strictSame(parseLine(JSON.stringify(other)), { sort: 'other' })
})

await t.test('unreadable lines', async (test) => {
  const rows = [
    'no json',
    '{"msg":"audit"',
    '{}{}',
    ...[
      { difference: 'theft' },
      { kind: 'god' },
      { time: 'now' },
      { time: 7 },
      { identity: 7 },
      { image: null },
      { namespace: '$(reboot)' },
      { namespace: null },
    ].map((wrong) => JSON.stringify({ ...audit, ...wrong })),
  ]
  for (const row of rows) test.strictSame(parseLine(row), { sort: 'unreadable' }, row)
})

await t.test('a name cannot repaint a terminal', async (test) => {
  const parsed = parseLine(JSON.stringify({ ...audit, identity: '\u001b[2Ja\nb', image: 'x'.repeat(1000) }))
  test.match(parsed, { line: { identity: '?[2Ja?b', image: /^x{300}$/ } })
})
