import t from 'tap'
import { ownerOf } from '../../../src/mirror/plan/owner.ts'

await t.test('each image has the owner of the former program', async (t) => {
  t.equal(ownerOf({}), 'supplementalCIImagesService')
  t.equal(ownerOf({ destination: { registry: 'a', repository: 'b' } }), 'qciToAppCIImages')
  const imageStreamTag = { namespace: 'a', name: 'b', tag: 'c' }
  t.equal(ownerOf({ distributed: { imageStreamTag, setAt: 0 } }), 'quay_io_ci_images_distributor')
})
