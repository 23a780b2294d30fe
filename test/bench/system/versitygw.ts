/** versitygw: a real S3 server over a directory. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { freePort } from '../../e2e/process.ts'
import { accepts, start, type Running } from './processes.ts'

export interface S3Server extends Running {
  readonly url: string
  /** `127.0.0.1:7070` */
  readonly host: string
  readonly bucket: string
  /** The flags by which the proxy uses it. */
  readonly flags: readonly string[]
  /** The path and the query of a signed URL. */
  readonly signedPath: (key: string) => Promise<string>
}

const region = 'us-east-1'

export const startVersitygw = async (directory: string): Promise<S3Server> => {
  const [accessKeyId, secretAccessKey] = ['bench', randomBytes(16).toString('hex')]
  const [sidecar, data] = [join(directory, 's3-sidecar'), join(directory, 's3-data')]
  for (const path of [sidecar, data]) await mkdir(path)
  const credentials = join(directory, 's3-credentials')
  const lines = [
    '[default]',
    `aws_access_key_id = ${accessKeyId}`,
    `aws_secret_access_key = ${secretAccessKey}`,
  ]
  await writeFile(credentials, `${lines.join('\n')}\n`, { mode: 0o600 })
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const keys = ['--access', accessKeyId, '--secret', secretAccessKey]
  const args = [...keys, '--port', host, 'posix', '--sidecar', sidecar, data]
  const ready = async () => await accepts(port)
  const running = await start('versitygw', args, { directory, name: 'versitygw', ready })
  const client = new S3Client({
    region,
    endpoint: `http://${host}`,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  })
  const bucket = 'qci'
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return {
    ...running,
    url: `http://${host}`,
    host,
    bucket,
    flags: [
      `--cache-s3=s3://${bucket}`,
      `--cache-s3-endpoint=http://${host}`,
      `--cache-s3-region=${region}`,
      `--cache-s3-credentials-file=${credentials}`,
    ],
    signedPath: async (key) => {
      const url = new URL(await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: key })))
      return url.pathname + url.search
    },
  }
}
