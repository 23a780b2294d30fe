/** versitygw, an S3 server over files, and how the proxy reaches it. It is built from source: `go install github.com/versity/versitygw/cmd/versitygw@latest`. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { objectKey } from '../../../src/storage/s3/object-key.ts'
import { freePort, missing } from '../../e2e/process.ts'
import { accepts, start, type Running } from './processes.ts'

export interface ObjectStore extends Running {
  readonly endpoint: string
  /** Of the proxy. */
  readonly flags: readonly string[]
  /** Path and query of the blob, signed for an hour. */
  readonly signedPath: (digest: string) => Promise<string>
  /** Resolves when it has all of them. */
  readonly holds: (digests: readonly string[]) => Promise<void>
}

const bucket = 'cache'
const region = 'us-east-1'
const maxWaitMs = 120_000

/** Undefined without versitygw. */
export const startObjectStore = async (directory: string, name: string): Promise<ObjectStore | undefined> => {
  if (missing('versitygw') !== false) return undefined
  const port = await freePort()
  const files = join(directory, `objects-${name}`)
  await mkdir(join(files, bucket), { recursive: true })
  const keys = { accessKeyId: 'bench', secretAccessKey: randomBytes(16).toString('hex') }
  const credentials = join(directory, `objects-${name}.credentials`)
  await writeFile(
    credentials,
    `[default]\naws_access_key_id = ${keys.accessKeyId}\naws_secret_access_key = ${keys.secretAccessKey}\n`,
    { mode: 0o600 },
  )
  const account = ['--access', keys.accessKeyId, '--secret', keys.secretAccessKey]
  const args = [...account, '--port', `127.0.0.1:${port}`, '--region', region, '--quiet', 'posix', files]
  const ready = async () => await accepts(port)
  const running = await start('versitygw', args, { directory, name: `versitygw-${name}`, ready })
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({ endpoint, region, credentials: keys, forcePathStyle: true })
  const keyOf = (digest: string) => objectKey('', 'blobs', digest)
  return {
    ...running,
    endpoint,
    flags: [
      `--cache-s3=s3://${bucket}`,
      `--cache-s3-endpoint=${endpoint}`,
      `--cache-s3-region=${region}`,
      `--cache-s3-credentials-file=${credentials}`,
    ],
    signedPath: async (digest) => {
      const command = new GetObjectCommand({ Bucket: bucket, Key: keyOf(digest) })
      const { pathname, search } = new URL(await getSignedUrl(client, command, { expiresIn: 3600 }))
      return pathname + search
    },
    holds: async (digests) => {
      const until = performance.now() + maxWaitMs
      while (!digests.every((digest) => existsSync(join(files, bucket, keyOf(digest))))) {
        if (performance.now() > until) throw new Error('the uploads to S3 did not end in time')
        await sleep(100)
      }
    },
  }
}
