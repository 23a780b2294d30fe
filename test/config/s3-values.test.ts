import t from 'tap'
import { addS3Problems, cautionsAboutS3, parseS3Location } from '../../src/config/s3-values.ts'

await t.test('a bucket, and a prefix', async (test) => {
  for (const [text, bucket, prefix] of [
    ['s3://cache', 'cache', ''],
    ['s3://cache/', 'cache', ''],
    ['s3://a.b-c.9/some/prefix_1.2=3', 'a.b-c.9', 'some/prefix_1.2=3'],
    [`s3://${'a'.repeat(63)}/x/`, 'a'.repeat(63), 'x'],
  ] as const)
    test.strictSame(parseS3Location(text), { bucket, prefix }, text)
})

await t.test('other texts are no bucket', async (test) => {
  for (const text of [
    'cache',
    's3:cache',
    's3://',
    's3://ab',
    `s3://${'a'.repeat(64)}`,
    's3://Cache',
    's3://my_cache',
    's3://-cache',
    's3://cache-',
    's3://a..b',
    's3://192.168.1.1',
    's3://key:secret@cache',
    's3://cache:9000',
    's3://cache?region=x',
    's3://cache//x',
    's3://cache/x//',
    's3://cache/../x',
    's3://cache/./x',
    's3://cache/a b',
    's3://cache/ä',
    's3://cache/%2e',
    `s3://cache/${'x/'.repeat(300)}y`,
    'https://cache.s3.amazonaws.com',
  ])
    test.equal(parseS3Location(text), undefined, text)
})

type Values = Parameters<typeof addS3Problems>[0]

const none: Values = {
  cacheS3: undefined,
  cacheS3Endpoint: undefined,
  cacheS3Region: undefined,
  cacheS3Addressing: 'auto',
  cacheS3CredentialsFile: undefined,
  cacheS3CaFile: undefined,
  cacheDir: undefined,
  blobDelivery: 'stream',
}
const cacheS3 = { bucket: 'cache', prefix: '' }
const http = new URL('http://store:7070')

const problemsOf = (values: Partial<Values>): readonly string[] => {
  const problems: string[] = []
  addS3Problems({ ...none, ...values }, problems)
  return problems
}

await t.test('flags that need each other', async (test) => {
  test.strictSame(problemsOf({}), [])
  test.strictSame(
    problemsOf({ cacheS3, cacheDir: '/cache', cacheS3Endpoint: http, blobDelivery: 'redirect' }),
    [],
  )
  test.strictSame(problemsOf({ cacheS3 }), [
    '--cache-s3 needs --cache-dir: a blob is verified on the disk, and uploaded from there',
  ])
  test.strictSame(
    problemsOf({
      cacheS3Endpoint: http,
      cacheS3Region: 'x',
      cacheS3CredentialsFile: '/f',
      cacheS3CaFile: '/f',
    }),
    [
      '--cache-s3-endpoint needs --cache-s3',
      '--cache-s3-region needs --cache-s3',
      '--cache-s3-credentials-file needs --cache-s3',
      '--cache-s3-ca-file needs --cache-s3',
    ],
  )
  test.strictSame(problemsOf({ cacheS3, cacheDir: '/cache', cacheS3Endpoint: http, cacheS3CaFile: '/ca' }), [
    '--cache-s3-ca-file is for https://, and --cache-s3-endpoint is http://',
  ])
  test.match(problemsOf({ cacheDir: '/cache', blobDelivery: 'redirect' }), [/^--cache-dir has no blobs/])
})

await t.test('a store without encryption is a warning', async (test) => {
  test.strictSame(cautionsAboutS3({ cacheS3Endpoint: undefined }), [])
  test.strictSame(cautionsAboutS3({ cacheS3Endpoint: new URL('https://store') }), [])
  test.match(cautionsAboutS3({ cacheS3Endpoint: http }), [/^--cache-s3-endpoint is http:\/\//])
})
