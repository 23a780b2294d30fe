import t from 'tap'
import { parseS3Credentials } from '../../src/secrets/s3-credentials.ts'

const keys = { accessKeyId: 'AKIA1', secretAccessKey: 'se=cret/+1' }

await t.test('the section default of a credentials file', async (test) => {
  for (const content of [
    '[default]\naws_access_key_id = AKIA1\naws_secret_access_key = se=cret/+1\n',
    '\ufeff# of the bucket\r\n[ default ]\r\nAWS_ACCESS_KEY_ID=AKIA1\r\naws_secret_access_key=se=cret/+1\r\nregion = x\r\n',
    'aws_access_key_id=AKIA1\naws_secret_access_key=se=cret/+1\n; end',
    '[other]\naws_access_key_id=B\naws_secret_access_key=b\n[default]\naws_access_key_id=AKIA1\naws_secret_access_key=se=cret/+1\n[third]\naws_access_key_id=C\nnothing',
  ])
    test.strictSame(parseS3Credentials(content), keys)
  test.strictSame(
    parseS3Credentials('aws_access_key_id=AKIA1\naws_secret_access_key=se=cret/+1\naws_session_token=t\n'),
    { ...keys, sessionToken: 't' },
  )
})

await t.test('other contents, of which no message holds anything', async (test) => {
  for (const [content, message] of [
    ['', 'it has no aws_access_key_id in its section [default]'],
    ['[other]\naws_access_key_id=A', 'it has no aws_access_key_id in its section [default]'],
    ['aws_access_key_id=A\n', 'it has no aws_secret_access_key in its section [default]'],
    [
      'aws_access_key_id=A\naws_secret_access_key=hunter two',
      'aws_secret_access_key has blanks or other characters that no key has',
    ],
  ] as const)
    test.throws(() => parseS3Credentials(content), { message })
})
