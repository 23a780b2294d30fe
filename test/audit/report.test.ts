import t from 'tap'
import { createReportBuilder } from '../../src/audit/report.ts'

const at = (second: number) => `2026-11-20T21:55:${String(second).padStart(2, '0')}.000Z`
const account = (name: string) => `system:serviceaccount:my-team:${name}`

const audit = (second: number, more: Readonly<Record<string, unknown>> = {}) =>
  JSON.stringify({
    time: at(second),
    difference: 'loss',
    identity: account('default'),
    kind: 'service-account',
    namespace: 'ocp',
    image: 'ocp_4.5_base',
    openedBy: ['image-puller', 'qci-wide'],
    msg: 'audit',
    ...more,
  })

const sum = (...lines: readonly (string | undefined)[]) => {
  const summing = createReportBuilder('qci')
  for (const line of lines) summing.add(line)
  return summing.report()
}

await t.test('the service accounts of a namespace are one loss, with a binding for each', async (test) => {
  const { losses, ...rest } = sum(
    audit(2),
    audit(1, { identity: account('builder'), image: 'ocp_4.5_cli' }),
    audit(3, { identity: account('builder'), image: 'ocp_4.5_cli' }),
    JSON.stringify({ msg: 'request', time: at(9), decision: 'allowed' }),
  )
  test.strictSame(losses, [
    {
      kind: 'service-account',
      serviceAccountNamespace: 'my-team',
      identities: { [account('builder')]: 2, [account('default')]: 1 },
      namespace: 'ocp',
      count: 3,
      images: ['ocp_4.5_base', 'ocp_4.5_cli'],
      lastSeen: at(3),
      keptBy: [
        `oc policy add-role-to-user system:image-puller ${account('default')} -n ocp`,
        `oc policy add-role-to-user system:image-puller ${account('builder')} -n ocp`,
      ],
    },
  ])
  test.strictSame(rest, {
    lines: { all: 4, decided: 1, unreadable: 0 },
    from: at(1),
    to: at(9),
    gained: 0,
    undecided: 0,
  })
})

await t.test('people by a group: QCI-wide, unless that does not open the image', async (test) => {
  const alice = { identity: 'alice', kind: 'user' }
  const { losses } = sum(
    audit(1, { ...alice, namespace: 'ocp-priv', openedBy: ['image-puller'] }),
    audit(2, alice),
  )
  test.match(losses, [
    {
      namespace: 'ocp',
      serviceAccountNamespace: undefined,
      keptBy: [/^oc policy add-role-to-group qci-image-puller GROUP --role-namespace=qci -n qci/],
    },
    {
      namespace: 'ocp-priv',
      keptBy: [/^oc policy add-role-to-group system:image-puller GROUP -n ocp-priv/],
    },
  ])
})

await t.test('without a namespace: QCI-wide, or no binding at all', async (test) => {
  const { losses } = sum(
    audit(1, { namespace: undefined, openedBy: ['qci-wide'] }),
    audit(1, { namespace: undefined, openedBy: [] }),
    audit(1, { namespace: undefined, openedBy: ['image-puller'] }),
  )
  test.strictSame(
    losses.flatMap(({ keptBy }) => keptBy),
    [`oc policy add-role-to-user qci-image-puller ${account('default')} --role-namespace=qci -n qci`],
  )
  test.equal(losses.length, 3)
})

await t.test('the largest loss first, then the latest; up to five images', async (test) => {
  const { losses } = sum(
    audit(1, { namespace: 'a' }),
    audit(3, { namespace: 'b' }),
    audit(2, { namespace: 'c' }),
    ...Array.from({ length: 9 }, (_, index) => audit(1, { namespace: 'd', image: `d_x_${index}` })),
  )
  test.strictSame(
    losses.map(({ namespace }) => namespace),
    ['d', 'b', 'c', 'a'],
  )
  test.strictSame([losses[0]?.count, losses[0]?.images.length], [9, 5])
})

await t.test('gains, undecided requests, and foreign lines', async (test) => {
  const report = sum(
    audit(1, { difference: 'gain' }),
    audit(2, { difference: 'undecided' }),
    audit(3, { difference: 'undecided' }),
    'garbage',
    undefined,
    '{"msg":"listening"}',
  )
  test.strictSame(report, {
    lines: { all: 6, decided: 0, unreadable: 2 },
    from: at(1),
    to: at(3),
    losses: [],
    gained: 1,
    undecided: 2,
  })
  test.strictSame(sum('garbage').from, undefined)
})
