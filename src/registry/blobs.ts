/**
 * GET and HEAD /v2/<name>/blobs/<digest> (end-2).
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs
 */
import type { Readable } from 'node:stream'
import type { RouteHandlerMethod } from 'fastify'
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
    const blob = await openBlob({
      method: request.method === 'HEAD' ? 'HEAD' : 'GET',
      digest: reference.digest,
      range: request.headers.range,
      ifRange: request.headers['if-range'] as string | undefined,
      signal: abortedWith(reply),
    })
    void reply.code(blob.status).headers({
      'content-type': 'application/octet-stream',
      ...blob.headers,
      'docker-content-digest': reference.digest,
    })
    if (blob.content !== undefined) {
      observeStreams(1)
      reply.raw.once('close', () => observeStreams(-1))
    }
    // Fastify pipes with backpressure and destroys the client's connection where the stream fails: a clean end would turn a
    // break that clients resume into a digest mismatch, which they do not.
    return reply.send(blob.content)
  }
