import t from 'tap'
import { pullAttributes } from '../../src/access/pull-attributes.ts'

await t.test('the right to pull a stream, or all streams of a namespace', async (test) => {
  test.strictSame(pullAttributes({ namespace: 'ocp', name: '4.5' }), {
    verb: 'get',
    group: 'image.openshift.io',
    resource: 'imagestreams',
    subresource: 'layers',
    namespace: 'ocp',
    name: '4.5',
  })
  test.notOk('name' in pullAttributes({ namespace: 'ocp' }))
})
