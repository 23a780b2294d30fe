import t from 'tap'
import { distributorFlag, distributorFlags } from '../../../src/mirror/distributor/distributor-options.ts'

await t.test('the flags of the former program', async (t) => {
  t.equal(
    distributorFlag('ignore-image-stream-tag'),
    'quayIOCIImagesDistributorOptions.ignore-image-stream-tag',
  )
  t.equal(distributorFlags.length, 4)
})
