import t from 'tap'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import { dueCopy } from '../../../src/mirror/plan/due-copy.ts'
import type { Digest } from '../../../src/oci/digest.ts'

const [digest, replaced] = ['0', '1'].map((digit) => `sha256:${digit.repeat(64)}`) as [Digest, Digest]
const image: DesiredImage = {
  target: 'a/b:c',
  float: 'a_b_c',
  source: { registry: 'quay.io', repository: 'a/b', tag: 'c', digest: undefined },
}
const distributed = { imageStreamTag: { namespace: 'a', name: 'b', tag: 'c' }, setAt: 0 }

await t.test('images that differ, and images with new attachments', async (t) => {
  const copy = { target: 'a/b:c', source: 'quay.io/a/b:c', destination: 'qci', sourceHost: 'quay.io', digest }
  t.match(dueCopy({ image, state: 'different', digest, replaced }, 'qci'), copy)
  t.equal(dueCopy({ image, state: 'different', digest, replaced }, 'qci')?.distributed, undefined)
  t.match(dueCopy({ image, state: 'same', digest, hasNewAttachments: true }, 'qci'), copy)
  t.equal(dueCopy({ image, state: 'same', digest }, 'qci'), undefined)
  t.equal(dueCopy({ image, state: 'missing' }, 'qci'), undefined)
  t.equal(dueCopy({ image, state: 'unreadable', reason: 'x' }, 'qci'), undefined)
  const watched = { ...image, distributed }
  t.match(dueCopy({ image: watched, state: 'different', digest, replaced, isStale: true }, 'qci'), {
    owner: 'quay_io_ci_images_distributor',
    distributed: { imageStreamTag: distributed.imageStreamTag, replaced, isStale: true },
  })
  t.match(dueCopy({ image: watched, state: 'same', digest, hasNewAttachments: true }, 'qci'), {
    distributed: { replaced: digest, isStale: false },
  })
})
