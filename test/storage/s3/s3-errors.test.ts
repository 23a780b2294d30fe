import t from 'tap'
import { describeS3Error, isFailing, S3Unavailable, statusOf } from '../../../src/storage/s3/s3-errors.ts'

await t.test('the description of an error does not contain its message', async (test) => {
  const denied = Object.assign(new Error('AKIASECRET is not allowed'), {
    name: 'AccessDenied',
    AWSAccessKeyId: 'AKIASECRET',
    $metadata: { httpStatusCode: 403 },
  })
  test.equal(describeS3Error(denied), 'AccessDenied 403')
  test.equal(describeS3Error(new S3Unavailable('x', { cause: denied })), 'S3Unavailable AccessDenied 403')
  test.equal(describeS3Error(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), 'Error ECONNREFUSED')
  test.equal(statusOf(denied), 403)
  test.equal(statusOf(new Error('x')), undefined)
})

await t.test('which statuses say that S3 fails', async (test) => {
  for (const [status, expected] of [
    [200, false],
    [403, false],
    [404, false],
    [429, true],
    [500, true],
    [503, true],
  ] as const)
    test.equal(isFailing(status), expected, `${status}`)
})
