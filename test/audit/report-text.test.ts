import t from 'tap'
import { reportText } from '../../src/audit/report-text.ts'
import type { Loss, Report } from '../../src/audit/report.ts'

const time = '2026-11-20T21:55:19.000Z'
const nothing: Report = {
  lines: { all: 12, decided: 1, unreadable: 0 },
  from: time,
  to: time,
  losses: [],
  gained: 0,
  undecided: 0,
}
const account = 'system:serviceaccount:my-team:puller'
const loss: Loss = {
  kind: 'service-account',
  serviceAccountNamespace: 'my-team',
  identities: { [account]: 2 },
  namespace: 'ocp',
  count: 2,
  images: ['ocp_4.5_base'],
  lastSeen: time,
  keptBy: ['oc policy ...'],
}

await t.test('no losses', async (test) => {
  test.equal(
    reportText(nothing),
    `No loss is logged. (Losses are logged with --authorization=audit alone: is this log of such a proxy?)\n\n1 request decided about in 12 lines, ${time} to ${time}.`,
  )
  test.notMatch(reportText({ ...nothing, from: undefined }), ' to ')
})

await t.test('a loss as text', async (test) => {
  test.equal(
    reportText({ ...nothing, losses: [loss] }),
    `1 identity would lose access with --authorization=enforce: 2 requests.

service accounts of my-team: images of namespace ocp (2 requests, the last ${time})
    ${account} (2)
    ocp_4.5_base
  kept by
    oc policy ...

1 request decided about in 12 lines, ${time} to ${time}.`,
  )
})

await t.test('a person, many images, no binding, and notes', async (test) => {
  const alice: Loss = {
    ...loss,
    kind: 'user',
    serviceAccountNamespace: undefined,
    identities: { alice: 9 },
    namespace: undefined,
    count: 9,
    images: ['a', 'b', 'c', 'd', 'e'],
    keptBy: [],
  }
  const text = reportText({
    ...nothing,
    lines: { all: 3, decided: 2, unreadable: 1 },
    losses: [alice, loss],
    gained: 2,
    undecided: 1,
  })
  test.match(text, /^2 identities would lose access with --authorization=enforce: 11 requests\./)
  test.match(
    text,
    `alice: images of no known namespace (9 requests, the last ${time})\n    a, b, c, d, e, ...\n`,
  )
  test.match(text, 'no binding keeps it')
  test.match(text, 'Lines that could not be read: 1.')
  test.match(text, '2 requests would be allowed that are refused today.')
  test.match(text, 'For 1 request app.ci did not say in time')
})
