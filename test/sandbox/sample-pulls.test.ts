import t from 'tap'
import { isRestricted, mayPull, qciNamespace, sampleImages } from '../../src/sandbox/sample-pulls.ts'

/** An app.ci that grants `get imagestreams/layers` in these namespaces. */
const granting = (...namespaces: readonly string[]) => ({
  mayPull: (_: string, asked: readonly { readonly namespace: string }[]) =>
    asked.map(({ namespace }) => namespaces.includes(namespace)),
})

await t.test(
  'a right in ocp opens each namespace that is not restricted, a right in a namespace opens it',
  async (test) => {
    test.equal(qciNamespace, 'ocp')
    const rows: [granted: string[], pulled: string[]][] = [
      [[], []],
      [['ocp'], ['ocp', 'my-team']],
      [['my-team'], ['my-team']],
      [['ocp-priv'], ['ocp-priv']],
      [
        ['ocp', 'ocp-priv'],
        ['ocp', 'my-team', 'ocp-priv'],
      ],
    ]
    for (const [granted, pulled] of rows)
      test.strictSame(
        sampleImages
          .filter((image) => mayPull(granting(...granted), 'token', image))
          .map(({ namespace }) => namespace),
        pulled,
        granted.join(),
      )
  },
)

await t.test('the review of a namespace names the image stream', async (test) => {
  let asked: unknown
  const api = {
    mayPull: (_: string, list: readonly object[]) => {
      asked = list
      return [false, false]
    },
  }
  mayPull(api, 'token', { repository: 'ocp-priv/4.5', tag: 'embargoed', namespace: 'ocp-priv' })
  test.strictSame(asked, [{ namespace: 'ocp' }, { namespace: 'ocp-priv', name: '4.5' }])
  test.ok(isRestricted('ocp-priv'))
})
