/**
 * The body of an answer from the store. If the store fails, the body continues from upstream at the same byte, and the client does not
 * notice.
 */
import { WrongContent } from '../../storage/fill-outcome.ts'
import type { HashedPrefix } from '../../storage/marked-hash.ts'
import { pipeBytes, type ByteSource } from '../../storage/pipe-bytes.ts'
import type { ReadBuffers } from '../../storage/read-buffers.ts'
import type { Blob, BlobRequest, Body, OpenBlob, Sink } from '../../oci/image-source.ts'
import { toRegistryError } from '../errors.ts'
import type { Stretch } from './requested-ranges.ts'
import { openRest } from './rest-of-blob.ts'
import { createVerifiedBody, repeated, wrongContent } from './verified-body.ts'

/** Bytes of the store. A reader can change from them to upstream. */
export interface StoredSource extends ByteSource {
  /** The hash of the bytes before `position`, which the reader has. */
  readonly prefix: (position: number) => HashedPrefix | Promise<HashedPrefix>
}

export interface StoredBodyOptions {
  readonly request: BlobRequest
  readonly source: StoredSource
  readonly buffers: ReadBuffers
  /** The size of the blob in bytes. */
  readonly size: number
  /** The parts of the answer. */
  readonly headers: Blob['headers']
  readonly parts: readonly (Stretch | Buffer)[]
  /** Opens the blob without the store. */
  readonly open: OpenBlob
  /** Repeats the request, if the stored bytes were wrong and the client has none of them; undefined if it was repeated already. */
  readonly again: (() => Promise<Blob>) | undefined
  /** Called once, with the bytes from the store. */
  readonly onEnd: (storedBytes: number) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export const createStoredBody = (options: StoredBodyOptions): Body => {
  let isOver = false
  const over = (storedBytes: number): void => {
    if (!isOver) options.onEnd(storedBytes)
    isOver = true
  }
  return {
    pipeTo: async (sink) => {
      const progress = new Progress(sink)
      try {
        for (const part of options.parts)
          if (Buffer.isBuffer(part)) progress.take(part, () => undefined)
          else await pipePart(options, part, progress)
      } finally {
        over(progress.storedBytes)
      }
    },
    discard: async () => over(0),
  }
}

/** The progress of the client, and whether a failure was caused by the client. */
class Progress {
  storedBytes = 0
  hasBytes = false
  hasFailed = false
  readonly #sink: Sink

  constructor(sink: Sink) {
    this.#sink = sink
  }

  readonly take: Sink = (chunk, release) => {
    try {
      this.hasBytes = true
      this.#sink(chunk, release)
    } catch (error) {
      this.hasFailed = true
      throw error
    }
  }

  readonly takeStored: Sink = (chunk, release) => {
    this.take(chunk, release)
    this.storedBytes += chunk.length
  }
}

const pipePart = async (options: StoredBodyOptions, part: Stretch, progress: Progress): Promise<void> => {
  const { source, buffers, request, again } = options
  const { signal } = request
  const before = progress.storedBytes
  try {
    try {
      await pipeBytes({ source, buffers, ...part, signal }, progress.takeStored)
    } catch (error) {
      if (progress.hasFailed) throw error
      if (signal?.aborted === true) throw toRegistryError(error)
      if (error instanceof WrongContent) throw error
      await pipeRest(options, part, part.start + progress.storedBytes - before, progress)
    }
  } catch (error) {
    if (!(error instanceof WrongContent)) throw error
    if (progress.hasBytes || again === undefined) throw wrongContent(error)
    await (await repeated(again, options.headers, error)).pipeTo(progress.take)
  }
}

/** A client of the whole blob gets the last bytes only if all bytes are right, from whatever source they came. */
const pipeRest = async (
  options: StoredBodyOptions,
  { start: first, end }: Stretch,
  start: number,
  progress: Progress,
): Promise<void> => {
  const { source, size, request } = options
  if (first > 0 || end < size) {
    const rest = await openRest(options, { start, end }, size)
    return await rest.pipeTo(progress.take)
  }
  const prefix = await source.prefix(start)
  const body = await openRest(options, { start: prefix.at, end }, size)
  const { digest } = request
  await createVerifiedBody({ body, digest, size, prefix, start }).pipeTo(progress.take)
}
