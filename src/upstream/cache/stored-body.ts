/**
 * The body of an answer from the store. If the store cannot go on, the client goes on from upstream at the same byte, and does not notice.
 */
import { unavailable } from '../../oci/errors.ts'
import { WrongContent } from '../../storage/fill-outcome.ts'
import { pipeBytes, type ByteSource } from '../../storage/pipe-bytes.ts'
import type { ReadBuffers } from '../../storage/read-buffers.ts'
import type { Blob, BlobRequest, Body, OpenBlob, Sink } from '../../oci/image-source.ts'
import { toRegistryError } from '../errors.ts'
import type { Stretch } from './requested-ranges.ts'
import { openRest } from './rest-of-blob.ts'

export interface StoredBodyOptions {
  readonly request: BlobRequest
  readonly source: ByteSource
  readonly buffers: ReadBuffers
  /** Bytes of the blob. */
  readonly size: number
  readonly parts: readonly (Stretch | Buffer)[]
  /** Past the store. */
  readonly open: OpenBlob
  /** The same request once more, if the stored bytes were wrong and the client has none of them; undefined if that was tried. */
  readonly again: (() => Promise<Blob>) | undefined
  /** Told once, with the bytes that came from the store. */
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
          if (Buffer.isBuffer(part)) sink(part, () => undefined)
          else await pipePart(options, part, progress)
      } finally {
        over(progress.storedBytes)
      }
    },
    discard: async () => over(0),
  }
}

/** How far the client is, and whether a failure is its own. */
class Progress {
  storedBytes = 0
  hasFailed = false
  readonly #sink: Sink

  constructor(sink: Sink) {
    this.#sink = sink
  }

  readonly take: Sink = (chunk, release) => {
    try {
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
  const { source, buffers, request, size, again } = options
  const { signal } = request
  const before = progress.storedBytes
  try {
    await pipeBytes({ source, buffers, ...part, signal }, progress.takeStored)
  } catch (error) {
    if (progress.hasFailed || signal?.aborted === true)
      throw progress.hasFailed ? error : toRegistryError(error)
    const start = part.start + progress.storedBytes - before
    if (!(error instanceof WrongContent)) {
      const rest = await openRest(options, { start, end: part.end }, size)
      await rest.pipeTo(progress.take)
    } else if (progress.storedBytes === 0 && again !== undefined)
      await (await again()).body?.pipeTo(progress.take)
    else
      throw unavailable(
        'the upstream registry sent a blob that is not the one of its digest; try again',
        error,
      )
  }
}
