import t from 'tap'
import { nearestOf } from '../../../src/mirror/status/nearest.ts'

await t.test('the most similar name, if one is similar enough', async (t) => {
  const names = ['ocp/ubi:8', 'ocp/ubi:9', 'ci/fedora:latest']
  t.equal(nearestOf('ocp/ubi:9', names), 'ocp/ubi:9')
  t.equal(nearestOf('ci/fedroa:latest', names), 'ci/fedora:latest')
  t.equal(nearestOf('something/else:entirely', names), undefined)
  t.equal(nearestOf('x'.repeat(1_000_000), ['y'.repeat(1_000_000)]), undefined)
})
