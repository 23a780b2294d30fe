import t from 'tap'
import { exitCodeOf, explanationText, rowsOf, type Explanation } from '../../src/explain/explanation.ts'

const explanation: Explanation = {
  image: 'ocp/4.5:base',
  pullSpec: 'proxy.example/ocp/4.5:base',
  identity: { username: 'alice', kind: 'user' },
  reading: { qciTag: 'ocp_4.5_base', namespace: 'ocp', imageStream: 'ocp/4.5', restricted: false },
  access: 'allowed',
  rule: 'qci-wide',
  reviews: [
    { role: 'qci-image-puller', namespace: 'ocp', answer: 'yes' },
    { role: 'system:image-puller', namespace: 'ocp', name: '4.5', answer: 'no', because: 'no binding' },
  ],
  inQci: 'yes',
  digest: 'sha256:abc',
  reason: 'You may pull it.',
  next: 'podman pull proxy.example/ocp/4.5:base',
}

await t.test('first the pull command, last the next step', async (test) => {
  test.equal(
    explanationText(explanation, [
      ['login from', 'auth.json'],
      ['nothing', undefined],
    ]),
    `podman pull proxy.example/ocp/4.5:base
  you are       alice (user)
  login from    auth.json
  QCI tag       ocp_4.5_base
  image stream  ocp/4.5
  namespace     ocp
  restricted    no
  review        yes: qci-image-puller in namespace ocp
  review        no: system:image-puller in namespace ocp, image stream 4.5 (no binding)
  in QCI        yes, sha256:abc

You may pull it.
Next: podman pull proxy.example/ocp/4.5:base`,
  )
})

await t.test('rows of tags without an owner, of restricted namespaces, and of digests', async (test) => {
  const { identity: _identity, ...nobody } = explanation
  const rows = (reading: Explanation['reading']) =>
    Object.fromEntries(rowsOf({ ...nobody, reading, inQci: 'no' })) as Record<string, unknown>
  test.match(rows({ qciTag: 'latest', restricted: false }), {
    'you are': undefined,
    namespace: /^none: no namespace owns the tag/,
    'in QCI': 'no',
  })
  test.match(rows({ qciTag: 'a-priv_b_c', namespace: 'a-priv', restricted: true }), {
    restricted: 'yes: QCI-wide access does not open it',
    'image stream': undefined,
  })
  test.match(rows({ digest: 'sha256:abc' }), {
    namespace: 'those that the digest was seen in',
    restricted: undefined,
  })
})

await t.test('the exit code shows the access', async (test) => {
  test.strictSame(
    (['allowed', 'denied', 'unknown'] as const).map((access) => exitCodeOf({ access })),
    [0, 1, 2],
  )
})

await t.test('the row of the mirror', async (test) => {
  const mirror = { state: 'waiting', explanation: 'It waits for its turn.' }
  test.match(
    explanationText({ ...explanation, mirror }),
    '\n  mirror        waiting: It waits for its turn.\n',
  )
})
