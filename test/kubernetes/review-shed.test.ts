import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import { ReviewShed, reviewShed } from '../../src/kubernetes/review-shed.ts'

await t.test('a 503 with Retry-After, and a class of its own', async (test) => {
  const error = reviewShed()
  test.ok(error instanceof ReviewShed && error instanceof RegistryError)
  test.match(error, { code: 'UNAVAILABLE', status: 503, headers: { 'retry-after': '1' } })
  test.match(reviewShed(7, new Error('because')), {
    headers: { 'retry-after': '7' },
    cause: { message: 'because' },
  })
})
