import t from 'tap'
import { currentImagesOf, noImage, pinnedDigest } from '../../../src/mirror/app-ci/current-images.ts'
import { hex } from '../../kubernetes/watching.ts'

await t.test('the newest image of each tag, and nothing of the history', (t) => {
  const reference = 'quay.io/openshift/ci@sha256:1'
  const status = {
    tags: [
      { tag: 'latest', items: [{ image: hex('a') }, { image: hex('b') }] },
      { tag: 'reference', items: [{ image: '', dockerImageReference: reference }, { image: hex('b') }] },
      { tag: 'odd', items: [{ image: 'sha256:short', dockerImageReference: 5 }] },
      { tag: 'failed', items: null, conditions: [{ type: 'ImportSuccess', status: 'False' }] },
      { tag: 'empty', items: [] },
      { tag: '', items: [{ image: hex('a') }] },
      { items: [{ image: hex('a') }] },
    ],
  }
  t.strictSame(
    [...currentImagesOf({ status })],
    [
      ['latest', hex('a')],
      ['reference', 'reference'],
      ['odd', 'none'],
      ['failed', 'none'],
      ['empty', 'none'],
    ],
  )
  for (const without of [{}, { status: null }, { status: {} }, { status: { tags: null } }])
    t.equal(currentImagesOf(without).size, 0)
  t.end()
})

await t.test('what is pinned, and why a tag is left out', (t) => {
  const [digest] = [
    ...currentImagesOf({ status: { tags: [{ tag: 'x', items: [{ image: hex('a') }] }] } }).values(),
  ]
  t.equal(pinnedDigest(digest as never), hex('a'))
  t.equal(pinnedDigest('reference'), undefined)
  t.equal(pinnedDigest('none'), undefined)
  t.match(noImage('ocp/a:b'), /ocp\/a:b has no image/)
  t.end()
})
