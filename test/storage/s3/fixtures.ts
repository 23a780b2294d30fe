import type { Test } from 'tap'
import {
  openObjectStore,
  type ObjectStore,
  type ObjectStoreOptions,
} from '../../../src/storage/s3/object-store.ts'
import type { S3Observers } from '../../../src/storage/s3/s3-observers.ts'
import { bucket, s3Credentials, type S3Server } from '../../support/s3-server.ts'

/** The bucket of a server, through the SDK. */
export const storeFor = async (
  test: Test,
  server: Pick<S3Server, 'url'>,
  options: Partial<ObjectStoreOptions> = {},
): Promise<ObjectStore> => {
  const store = await openObjectStore({
    bucket,
    endpoint: server.url,
    region: 'us-east-1',
    isPathStyle: true,
    ca: undefined,
    credentials: () => s3Credentials,
    userAgent: 'quay-proxy/0.0.0',
    ...options,
  })
  test.teardown(() => store.close())
  return store
}

/** What was told, a line each: `get found`, `blobs stored 5`, `blobs corrupt size`, `open`. */
export const noted = (): { readonly observe: S3Observers; readonly told: string[] } => {
  const told: string[] = []
  return {
    told,
    observe: {
      request: (operation, outcome) => void told.push(`${operation} ${outcome}`),
      uploaded: (kind, outcome, bytes) => void told.push(`${kind} ${outcome} ${bytes}`),
      corrupt: (kind, why) => void told.push(`${kind} corrupt ${why}`),
      circuit: (isOpen) => void told.push(isOpen ? 'open' : 'closed'),
    },
  }
}

export const inChunks = async function* (content: Buffer, chunkBytes = 1_000_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += chunkBytes)
    yield await Promise.resolve(content.subarray(at, at + chunkBytes))
}

export const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(
    () => undefined,
    (error: unknown) => error,
  )
