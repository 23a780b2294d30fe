import t from 'tap'
import {
  floatTagOf,
  formatTarget,
  maxFloatLength,
  parseTarget,
  pruneTagOf,
} from '../../../src/mirror/names/qci-names.ts'

await t.test('a target has exactly one slash and one colon', async (t) => {
  t.strictSame(parseTarget('ocp/4.22:rhel-coreos-next'), {
    namespace: 'ocp',
    name: '4.22',
    tag: 'rhel-coreos-next',
  })
  for (const key of ['', 'a', 'a/b', 'a:b', '/b:c', 'a/:c', 'a/b:', 'a/b/c:d', 'a/b:c:d', 'a:b/c'])
    t.equal(parseTarget(key), undefined, key)
})

await t.test('the tags in QCI, to the letter', async (t) => {
  const target = { namespace: 'ocp', name: 'ubi', tag: '9' }
  t.equal(formatTarget(target), 'ocp/ubi:9')
  t.equal(floatTagOf(target), 'ocp_ubi_9')
  t.equal(
    pruneTagOf('ocp_ubi_9', Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
    '20260102030405_prune___ci_images_mirror__ocp_ubi_9',
  )
})

await t.test('a float of 87 characters has a prune tag of 128', async (t) => {
  t.equal(maxFloatLength, 87)
  t.equal(pruneTagOf('a'.repeat(maxFloatLength), 0).length, 128)
})
