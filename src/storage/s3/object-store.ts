/**
 * An S3 bucket through the SDK of AWS: signed URLs for reads, and the writing requests. The SDK is loaded here, and only if S3 is
 * configured: it costs 0.15 s of CPU and 40 MB at the start.
 */
import { Readable } from 'node:stream'
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { rootCertificates } from 'node:tls'
import { statusOf } from './s3-errors.ts'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface ObjectStoreOptions {
  readonly bucket: string
  /** Undefined for AWS. */
  readonly endpoint: URL | undefined
  /** Undefined: the SDK finds the region. */
  readonly region: string | undefined
  /** `https://endpoint/bucket/key` instead of `https://bucket.endpoint/key`. */
  readonly isPathStyle: boolean
  /** PEM, in addition to the well-known authorities. */
  readonly ca: string | undefined
  /** Returns the newest credentials at each request; undefined: the SDK finds them. */
  readonly credentials: (() => S3Credentials) | undefined
  /** `program/version`; the SDK adds it to its own. */
  readonly userAgent: string
}

export interface ObjectStore {
  /** Everybody who has this URL can read the object until it expires, so it must not be logged. */
  readonly urlOf: (key: string, lifetimeSeconds: number) => Promise<URL>
  /** @returns bytes; undefined if the object does not exist or the answer has no length. @throws what the SDK throws */
  readonly sizeOf: (key: string, signal: AbortSignal) => Promise<number | undefined>
  /** @param chunks all bytes. If they throw, nothing is stored. @throws the errors of the SDK and of `chunks` */
  readonly put: (
    key: string,
    size: number,
    chunks: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ) => Promise<void>
  readonly remove: (key: string, signal: AbortSignal) => Promise<void>
  readonly close: () => void
}

/** S3 accepts smaller parts only as the last one, and at most 10,000 parts. */
const minPartBytes = 5 * 1024 * 1024
const maxParts = 9000
/** Milliseconds for one request of an upload: 5 MiB at 170 KiB/s. */
const requestMs = 30_000
/** Milliseconds for the request that aborts an upload. The shutdown of the process may wait for it. */
const abortMs = 2000
const connectMs = 2000

/** The modules of the SDK. */
const loadSdk = async () => {
  const [s3, { getSignedUrl }, { Upload }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@aws-sdk/s3-request-presigner'),
    import('@aws-sdk/lib-storage'),
  ])
  return { ...s3, getSignedUrl, Upload }
}

type Sdk = Awaited<ReturnType<typeof loadSdk>>

/** @throws {Error} if no region is known */
export const openObjectStore = async (options: ObjectStoreOptions): Promise<ObjectStore> => {
  const sdk = await loadSdk()
  const client = new sdk.S3Client(clientConfig(options))
  await regionOf(client)
  return new SdkObjectStore(sdk, client, options.bucket)
}

const clientConfig = ({
  endpoint,
  region,
  isPathStyle,
  ca,
  credentials,
  userAgent,
}: ObjectStoreOptions): S3ClientConfig => ({
  forcePathStyle: isPathStyle,
  maxAttempts: 2,
  customUserAgent: [userAgent.split('/') as [string, string]],
  // The digest is compared when the object is read. Many stores do not know the checksums that the SDK adds by default.
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
  requestHandler: {
    connectionTimeout: connectMs,
    ...(ca === undefined ? {} : { httpsAgent: { keepAlive: true, ca: [...rootCertificates, ca] } }),
  },
  ...(endpoint === undefined ? {} : { endpoint: endpoint.origin }),
  ...(region === undefined ? {} : { region }),
  // With this expiration the SDK asks for credentials at every request, so each request gets the newest ones.
  ...(credentials === undefined
    ? {}
    : { credentials: async () => await Promise.resolve({ ...credentials(), expiration: new Date() }) }),
})

const regionOf = async (client: S3Client): Promise<string> => {
  try {
    return await client.config.region()
  } catch (error) {
    throw new Error('--cache-s3 has no region: give --cache-s3-region, or set AWS_REGION', { cause: error })
  }
}

class SdkObjectStore implements ObjectStore {
  readonly #sdk: Sdk
  readonly #client: S3Client
  readonly #bucket: string

  constructor(sdk: Sdk, client: S3Client, bucket: string) {
    this.#sdk = sdk
    this.#client = client
    this.#bucket = bucket
  }

  async urlOf(key: string, lifetimeSeconds: number): Promise<URL> {
    const { getSignedUrl, GetObjectCommand } = this.#sdk
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key })
    // The SDK learns from the answers of S3 how wrong the clock of this machine is, but corrects only its own requests.
    const signingDate = new Date(Date.now() + this.#client.config.systemClockOffset)
    return new URL(await getSignedUrl(this.#client, command, { expiresIn: lifetimeSeconds, signingDate }))
  }

  async sizeOf(key: string, signal: AbortSignal): Promise<number | undefined> {
    const command = new this.#sdk.HeadObjectCommand({ Bucket: this.#bucket, Key: key })
    try {
      return (await this.#client.send(command, { abortSignal: signal })).ContentLength
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw error
    }
  }

  async put(key: string, size: number, chunks: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
    const failed = new AbortController()
    const body = Readable.from(chunks)
    const upload = new this.#sdk.Upload({
      client: this.#abortable(AbortSignal.any([signal, failed.signal]), failed),
      params: { Bucket: this.#bucket, Key: key, Body: body, ContentType: 'application/octet-stream' },
      // One part at a time, so that an upload holds two parts in memory.
      queueSize: 1,
      partSize: Math.max(minPartBytes, Math.ceil(size / maxParts)),
    })
    try {
      await upload.done()
    } finally {
      body.destroy()
    }
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    const command = new this.#sdk.DeleteObjectCommand({ Bucket: this.#bucket, Key: key })
    await this.#client.send(command, { abortSignal: signal })
  }

  close(): void {
    this.#client.destroy()
  }

  /**
   * The client for one upload. lib-storage passes no signal on, so its requests would continue after an upload was aborted, as long as a
   * frozen S3 holds them. After the abort, this client sends only the request that removes the parts.
   */
  #abortable(signal: AbortSignal, failed: AbortController): S3Client {
    const { AbortMultipartUploadCommand } = this.#sdk
    const send = async (command: Parameters<S3Client['send']>[0]): Promise<unknown> => {
      const isCleanUp = command instanceof AbortMultipartUploadCommand
      const abortSignal = isCleanUp
        ? AbortSignal.timeout(abortMs)
        : AbortSignal.any([signal, AbortSignal.timeout(requestMs)])
      try {
        return await this.#client.send(command, { abortSignal })
      } catch (error) {
        failed.abort(error)
        throw error
      }
    }
    return { config: this.#client.config, send } as unknown as S3Client
  }
}
