import t from 'tap'
import { openS3 } from '../../src/proxy/open-s3.ts'
import { bucket, s3Credentials } from '../support/s3-server.ts'

await t.test('the bucket in the path, or in the host name', async (test) => {
  const other = { cacheS3Endpoint: new URL('https://store.example.org') }
  for (const [flags, name, host] of [
    [other, bucket, 'store.example.org'],
    [{ ...other, cacheS3Addressing: 'virtual' }, bucket, `${bucket}.store.example.org`],
    [{ cacheS3Region: 'eu-west-3' }, bucket, `${bucket}.s3.eu-west-3.amazonaws.com`],
    [{ cacheS3Region: 'eu-west-3', cacheS3Addressing: 'path' }, bucket, 's3.eu-west-3.amazonaws.com'],
    [{ cacheS3Region: 'eu-west-3' }, 'a.b', 's3.eu-west-3.amazonaws.com'],
  ] as const) {
    const given = {
      cacheS3Endpoint: undefined,
      cacheS3Region: undefined,
      cacheS3Addressing: 'auto',
      s3Ca: undefined,
      ...flags,
    } as const
    const store = await openS3({ bucket: name, prefix: '' }, given, () => s3Credentials)
    test.equal((await store.urlOf('a', 60)).host, host)
    store.close()
  }
})
