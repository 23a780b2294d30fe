import type { Test } from 'tap'
import type { Digest } from '../../../src/oci/reference.ts'
import { openStorage } from '../../../src/storage/storage.ts'
import type { Disk } from '../../../src/storage/disk.ts'
import { createBlobCache } from '../../../src/upstream/cache/blob-cache.ts'
import type { BlobCacheOptions } from '../../../src/upstream/cache/blob-cache-options.ts'
import type { Blob, BlobRequest, Body, Manifest, OpenBlob } from '../../../src/oci/image-source.ts'
import { toRegistryError, TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { digestOf, diskWith, freshDirectory } from '../../storage/fixtures.ts'
import { until } from '../../support/until.ts'

/** What upstream does with its next answer to a GET. */
export interface Script {
  /** Bytes after which the answer waits for `goOn`. */
  readonly waitsAt?: number
  /** Bytes after which it breaks off. */
  readonly cutAt?: number
  readonly content?: Buffer
  readonly withoutLength?: boolean
  readonly error?: Error
  /** Until it answers at all. */
  readonly silence?: Promise<void>
}

export interface ScriptedUpstream {
  readonly open: OpenBlob
  /** `GET`, `GET bytes=5-9`, `HEAD` */
  readonly requests: string[]
  readonly scripts: Script[]
  /** Once so many answers wait, lets them go on. */
  readonly goOn: (count?: number) => Promise<void>
  /** Bodies that nobody reads and nobody has discarded. */
  readonly unread: () => number
}

const chunkBytes = 16_384

/** Blobs by digest, with ranges, over no socket. */
export const scriptedUpstream = (...contents: readonly Buffer[]): ScriptedUpstream => {
  const blobs = new Map(contents.map((content) => [digestOf(content), content]))
  const requests: string[] = []
  const scripts: Script[] = []
  let goneOn = Promise.withResolvers<void>()
  let waiting = 0
  let unread = 0
  const bodyOf = (bytes: Buffer, script: Script, signal: AbortSignal | undefined): Body => {
    unread += 1
    return {
      pipeTo: async (sink) => {
        unread -= 1
        const aborted = Promise.withResolvers<never>()
        aborted.promise.catch(() => undefined)
        signal?.addEventListener('abort', () => aborted.reject(toRegistryError(signal.reason)), {
          once: true,
        })
        let hasWaited = false
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          if (signal?.aborted === true) throw toRegistryError(signal.reason)
          if (script.waitsAt !== undefined && at >= script.waitsAt && !hasWaited) {
            hasWaited = true
            waiting += 1
            await Promise.race([goneOn.promise, aborted.promise]).finally(() => (waiting -= 1))
          }
          if (script.cutAt !== undefined && at >= script.cutAt)
            throw new TransientUpstreamError('UNAVAILABLE', 'upstream broke off')
          const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes))
          const taken = new Promise<void>((release) => sink(chunk, release))
          await Promise.race([taken, aborted.promise])
          // Attack: memory that is used again.
          chunk.fill(0xee)
        }
      },
      discard: async () => void (unread -= 1),
    }
  }
  return {
    requests,
    scripts,
    unread: () => unread,
    goOn: async (count = 1) => {
      await until(() => waiting >= count)
      goneOn.resolve()
      goneOn = Promise.withResolvers()
    },
    open: async ({ method, digest, range, signal }) => {
      requests.push([method, range].filter((part) => part !== undefined).join(' '))
      await new Promise((resolve) => setImmediate(resolve))
      const script: Script = (method === 'GET' ? scripts.shift() : undefined) ?? {}
      await script.silence
      if (script.error !== undefined) throw script.error
      const content = script.content ?? blobs.get(digest) ?? Buffer.alloc(0)
      return answer(content, range, method, script, (bytes) => bodyOf(bytes, script, signal))
    },
  }
}

const answer = (
  content: Buffer,
  range: string | undefined,
  method: string,
  { withoutLength }: Script,
  bodyOf: (bytes: Buffer) => Body,
): Blob => {
  const headers = { etag: '"of the storage"', 'last-modified': 'Sun, 29 Nov 2026 00:00:00 GMT' }
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? []
  if (range === undefined || first === '') {
    const length = withoutLength === true ? {} : { 'content-length': `${content.length}` }
    return {
      status: 200,
      headers: { ...headers, ...length },
      body: method === 'HEAD' ? undefined : bodyOf(content),
    }
  }
  const [start, end] = [
    Number(first),
    last === '' ? content.length : Math.min(Number(last) + 1, content.length),
  ]
  return {
    status: 206,
    headers: {
      ...headers,
      'content-length': `${end - start}`,
      'content-range': `bytes ${start}-${end - 1}/${content.length}`,
    },
    body: bodyOf(content.subarray(start, end)),
  }
}

export interface CacheSetUp {
  readonly open: OpenBlob
  readonly upstream: ScriptedUpstream
  readonly told: string[]
  readonly directory: string
  readonly storage: ReturnType<typeof openStorage>
  readonly sent: () => number
  readonly ended: (outcome: string) => number
}

export const cacheFor = (
  test: Test,
  upstream: ScriptedUpstream,
  {
    disk = {},
    directory = freshDirectory(test),
    ...options
  }: Partial<BlobCacheOptions> & { disk?: Partial<Disk>; directory?: string } = {},
): CacheSetUp => {
  const told: string[] = []
  let sent = 0
  const storage = openStorage({
    directory,
    maxBytes: 100_000_000,
    observe: {
      fillEnded: (kind, outcome) => void told.push(`${kind} ${outcome}`),
      evicted: () => undefined,
      corrupt: (kind, why) => void told.push(`${kind} corrupt ${why}`),
      warning: (message) => void told.push(message),
    },
    disk: diskWith(disk),
  })
  test.teardown(async () => await storage.close())
  const open = createBlobCache({
    open: upstream.open,
    storage,
    sizeOf: () => undefined,
    observe: {
      served: (tier) => void told.push(tier),
      sent: (bytes) => {
        sent += bytes
      },
    },
    ...options,
  })
  const ended = (outcome: string) => told.filter((line) => line === `blobs ${outcome}`).length
  return { open, upstream, told, directory, storage, sent: () => sent, ended }
}

export const requestFor = (content: Buffer, more: Partial<BlobRequest> = {}): BlobRequest => ({
  method: 'GET',
  digest: digestOf(content) as Digest,
  range: undefined,
  ifRange: undefined,
  requester: 'alice',
  ...more,
})

/** All of a body; each chunk is copied, and given back at once. */
export const allOf = async (blob: Blob): Promise<Buffer> => {
  const chunks: Buffer[] = []
  await blob.body?.pipeTo((chunk, release) => {
    chunks.push(Buffer.from(chunk))
    release()
  })
  return Buffer.concat(chunks)
}

/** A client that takes all it can, and remembers it also where the body breaks off. */
export const reading = (blob: Blob) => {
  const chunks: Buffer[] = []
  const done = (blob.body as Body).pipeTo((chunk, release) => {
    chunks.push(Buffer.from(chunk))
    release()
  })
  done.catch(() => undefined)
  return { done, bytes: () => Buffer.concat(chunks) }
}

const index = Buffer.from('{"schemaVersion":2}')
/** A small index, as the stages of the pipeline pass it on. */
export const smallIndex: Manifest = {
  digest: digestOf(index) as Digest,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  size: index.length,
  content: index,
  isStale: false,
}
