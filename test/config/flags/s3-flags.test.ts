import t from 'tap'
import { s3Flags } from '../../../src/config/flags/s3-flags.ts'
import { testValues } from './test-values.ts'

await t.test('values that are accepted, and those that are not', async (test) => {
  testValues(test, s3Flags, [
    ['cacheS3', 's3://cache/prefix', { bucket: 'cache', prefix: 'prefix' }],
    ['cacheS3', 'cache', undefined],
    ['cacheS3Endpoint', 'https://s3.example.org:9000', new URL('https://s3.example.org:9000')],
    ['cacheS3Endpoint', 'https://s3.example.org/bucket', undefined],
    ['cacheS3Endpoint', 'https://key:secret@s3.example.org', undefined],
    ['cacheS3Region', 'us-gov-east-1', 'us-gov-east-1'],
    ['cacheS3Region', 'US East', undefined],
    ['cacheS3Addressing', 'virtual', 'virtual'],
    ['cacheS3Addressing', 'host', undefined],
    ['cacheS3CredentialsFile', '/secret/credentials', '/secret/credentials'],
    ['cacheS3CredentialsFile', '', undefined],
    ['cacheS3CaFile', '/ca.pem', '/ca.pem'],
  ])
})
