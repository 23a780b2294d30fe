import t from 'tap'
import {
  currentImagesOf,
  noImage,
  pinnedDigest,
  streamTagsOf,
} from '../../../src/mirror/app-ci/current-images.ts'
import { hex } from '../../kubernetes/watching.ts'

await t.test('only the newest image of each tag is kept, without its history', (t) => {
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

await t.test('tags with a digest are pinned, and tags without an image are left out with the reason', (t) => {
  const [digest] = [
    ...currentImagesOf({ status: { tags: [{ tag: 'x', items: [{ image: hex('a') }] }] } }).values(),
  ]
  t.equal(pinnedDigest(digest as never), hex('a'))
  t.equal(pinnedDigest('reference'), undefined)
  t.equal(pinnedDigest('none'), undefined)
  t.match(noImage('ocp/a:b'), /ocp\/a:b has no image/)
  t.end()
})

await t.test('tags for the watch: when they were set, and none that refers to QCI', (t) => {
  const created = '2026-01-02T03:04:05Z'
  const refersTo = (dockerImageReference: string) => [{ created, dockerImageReference, image: '' }]
  const status = {
    tags: [
      { tag: 'pushed', items: [{ created, image: hex('a') }, { image: hex('b') }] },
      { tag: 'odd', items: [{ created: 'yesterday', image: hex('b') }] },
      { tag: 'failed', items: null },
      { tag: 'unwanted', items: [{ created, image: hex('a') }] },
      { tag: 'qci', items: refersTo(`quay.io/openshift/ci@${hex('a')}`) },
      { tag: 'proxy', items: refersTo('quay-proxy.ci.openshift.org/ocp/4.5:cli') },
      { tag: 'elsewhere', items: refersTo('quay.io/openshift/cincinnati:v1') },
      { tag: 'nowhere', items: refersTo('//') },
    ],
  }
  const setAt = Date.parse(created)
  t.strictSame(
    [...streamTagsOf({ status }, (tag) => tag !== 'unwanted')],
    [
      ['pushed', { image: hex('a'), setAt }],
      ['odd', { image: hex('b'), setAt: undefined }],
      ['failed', { image: 'none', setAt: undefined }],
      ['elsewhere', { image: 'reference', setAt }],
      ['nowhere', { image: 'reference', setAt }],
    ],
  )
  t.end()
})
