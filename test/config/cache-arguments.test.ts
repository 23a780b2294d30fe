import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseCacheArguments } from '../../src/config/cache-arguments.ts'

await t.test('cache: an action, its target, and the directory', async (test) => {
  test.strictSame(parseCacheArguments(['stats', '--cache-dir=/c'], {}), {
    action: 'stats',
    directory: '/c',
    target: undefined,
    bucket: undefined,
    warnings: [],
  })
  test.strictSame(parseCacheArguments(['rm', 'ocp_4.5_base'], { QUAY_PROXY_CACHE_DIR: '/c' }), {
    action: 'rm',
    directory: '/c',
    target: 'ocp_4.5_base',
    bucket: undefined,
    warnings: [],
  })
  for (const args of [[], ['purge'], ['stats', 'a'], ['rm'], ['rm', 'a', 'b'], ['verify', 'a']])
    test.throws(() => parseCacheArguments([...args, '--cache-dir=/c'], {}), {
      name: 'ConfigError',
      message: /^cache takes stats, verify, or rm with a digest or a tag/,
    })
  test.throws(() => parseCacheArguments(['stats', '--json'], {}), {
    name: 'ConfigError',
    message: '--json is not a flag of cache; --help lists them',
  })
  test.throws(() => parseCacheArguments(['stats'], {}), { message: /^cache needs --cache-dir=DIR/ })
})

await t.test('cache rm: the bucket, as serve has it', async (test) => {
  const file = join(test.testdir(), 'credentials')
  writeFileSync(file, 'aws_access_key_id=AKIA\naws_secret_access_key=secret\n', { mode: 0o644 })
  const flags = ['--cache-dir=/c', '--cache-s3=s3://bucket/p', `--cache-s3-credentials-file=${file}`]
  const { bucket, warnings } = parseCacheArguments(['rm', 'a', ...flags], {
    QUAY_PROXY_CACHE_S3_ENDPOINT: 'https://s3.example.org',
  })
  test.match(bucket, {
    location: { bucket: 'bucket', prefix: 'p' },
    cacheS3Endpoint: new URL('https://s3.example.org'),
    cacheS3Addressing: 'auto',
    credentials: { accessKeyId: 'AKIA', secretAccessKey: 'secret' },
    s3Ca: undefined,
  })
  test.match(warnings, [/^--cache-s3-credentials-file: /])
  const others = parseCacheArguments(['stats', ...flags, '--cache-s3-ca-file=/absent'], {})
  test.equal(others.bucket, undefined, 'stats and verify read no bucket')
  const mistakes = ['--cache-s3-ca-file=/absent', '--cache-s3-region=us-east-1', '--cache-dir=/c']
  test.throws(() => parseCacheArguments(['rm', 'a', ...mistakes], {}), {
    name: 'ConfigError',
    problems: [
      '--cache-s3-region needs --cache-s3',
      '--cache-s3-ca-file needs --cache-s3',
      /^--cache-s3-ca-file: /,
    ],
  })
})
