/**
 * GET and HEAD /v2/<name>/blobs/<digest> (end-2).
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { finished } from 'node:stream'
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { BlobRequest, Body, OpenBlob } from '../oci/image-source.ts'
import { abortedWith } from './abort.ts'
import { requesterOf } from './requester.ts'
import { referenceOf } from './request-context.ts'

export interface BlobsOptions {
  readonly openBlob: OpenBlob
  /** Called with +1 when a stream begins, and with -1 when it ends in any way. */
  readonly observeStreams: (change: 1 | -1) => void
}

export const blobHandler =
  ({ openBlob, observeStreams }: BlobsOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const reference = referenceOf(request)
    if (reference.kind !== 'digest') throw new Error('blobs are asked for by digest')
    const signal = abortedWith(reply)
    const { status, headers, body } = await openBlob({
      ...methodAndRange(request),
      digest: reference.digest,
      requester: requesterOf(request),
      signal,
    })
    const head = {
      'content-type': 'application/octet-stream',
      ...headers,
      'docker-content-digest': reference.digest,
    }
    if (body === undefined) return reply.code(status).headers(head).send()
    const begin = () => {
      // Here the framework is bypassed: a stream that it pipes costs several times the CPU.
      reply.hijack()
      reply.raw.writeHead(status, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...head })
      observeStreams(1)
      finished(reply.raw, () => observeStreams(-1))
    }
    const failure = await write(body, reply.raw, begin)
    if (failure instanceof RegistryError && !signal.aborted) request.failure = failure
    return reply
  }

/**
 * Range is defined for GET alone: a client that requests HEAD with a Range gets the length of the whole blob, as from quay.io.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
const methodAndRange = ({
  method,
  headers,
}: FastifyRequest): Pick<BlobRequest, 'method' | 'range' | 'ifRange'> =>
  method === 'HEAD'
    ? { method, range: undefined, ifRange: undefined }
    : { method: 'GET', range: headers.range, ifRange: headers['if-range'] as string | undefined }

/**
 * The head is sent with the first chunk, so an earlier failure can still be answered with an error. A later failure destroys the
 * connection: clients resume after a broken connection, but a clean end would give them a digest mismatch, which they do not retry.
 */
const write = async (
  body: Pick<Body, 'pipeTo'>,
  response: ServerResponse,
  begin: () => void,
): Promise<unknown> => {
  let hasBegun = false
  const beginOnce = () => {
    if (!hasBegun) begin()
    hasBegun = true
  }
  try {
    await body.pipeTo((chunk, release) => {
      beginOnce()
      response.write(chunk, () => release())
    })
  } catch (error) {
    if (!hasBegun) throw error
    response.destroy()
    return error
  }
  beginOnce()
  response.end()
  return undefined
}
