/**
 * GET and HEAD /v2/<name>/blobs/<digest> (end-2).
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs
 */
import { once } from 'node:events'
import { finished, type Readable } from 'node:stream'
import type { RouteHandlerMethod } from 'fastify'
import { unavailable } from '../errors.ts'
import type { Digest } from '../reference.ts'
import { abortedWith } from './abort.ts'
import { referenceOf } from './authorization.ts'

export interface BlobsOptions {
  readonly openBlob: (request: {
    method: 'GET' | 'HEAD'
    digest: Digest
    range: string | undefined
    ifRange: string | undefined
    signal: AbortSignal
  }) => Promise<{
    status: 200 | 206
    headers: Readonly<Record<string, string>>
    content: Readable | undefined
  }>
  /** Called with +1 when a stream begins and -1 when it is over, however it ends. */
  readonly observeStreams: (change: 1 | -1) => void
}

export const blobHandler =
  ({ openBlob, observeStreams }: BlobsOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const reference = referenceOf(request)
    if (reference.kind !== 'digest') throw new Error('blobs are asked for by digest')
    const signal = abortedWith(reply)
    const blob = await openBlob({
      method: request.method === 'HEAD' ? 'HEAD' : 'GET',
      digest: reference.digest,
      range: request.headers.range,
      ifRange: request.headers['if-range'] as string | undefined,
      signal,
    })
    if (blob.content !== undefined) await untilReadable(blob.content, signal)
    void reply.code(blob.status).headers({
      'content-type': 'application/octet-stream',
      ...blob.headers,
      'docker-content-digest': reference.digest,
    })
    if (blob.content !== undefined) {
      observeStreams(1)
      finished(reply.raw, () => observeStreams(-1))
    }
    // Fastify pipes with backpressure and destroys the client's connection where the stream fails: a clean end would turn a
    // break that clients resume into a digest mismatch, which they do not.
    return reply.send(blob.content)
  }

/** Until the first byte is there a broken stream is a failure that can be answered, with no head of a blob around it. */
const untilReadable = async (content: Readable, signal: AbortSignal): Promise<void> => {
  // Whoever listens later hears of it too; nobody listening at the moment would end the process.
  content.on('error', () => undefined)
  try {
    await once(content, 'readable', { signal })
  } catch (error) {
    content.destroy()
    throw unavailable('the upstream registry broke off before the first byte; try again', error)
  }
}
