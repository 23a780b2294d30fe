/**
 * The limit of response bytes that wait for their clients, shared out by requester. Blobs are exempt: only one chunk of each waits.
 *
 * Attack: hundreds of requests for a manifest of megabytes, from a client that reads none.
 */
import type { onSendHookHandler } from 'fastify'
import { unavailable } from '../oci/errors.ts'
import { requesterOrNetworkOf } from '../registry/requester.ts'
import { inSlices, sliceBytes } from './answer-slices.ts'
import { FairShares } from './fair-shares.ts'

export interface PendingBytesOptions {
  readonly maxPendingBytes: number
  /** Called for each refused response. */
  readonly observeShed: () => void
}

/**
 * Bytes of a response that does not count: the kernel buffers as much for any client, and `maxRequests` limits the number of responses.
 */
const smallAnswer = 16 * 1024

/** Fields that describe the refused response, and not the error that replaces it. */
const itsFields = ['etag', 'docker-content-digest', 'oci-filters-applied', 'link', 'warning', 'cache-control']

/** A hook for `onSend`: a response over the limit becomes a 503 before its first byte is sent. */
export const boundPendingBytes = ({
  maxPendingBytes,
  observeShed,
}: PendingBytesOptions): onSendHookHandler => {
  const shares = new FairShares(maxPendingBytes)
  return (request, reply, payload, done) => {
    // A stream has no length here.
    const length = Buffer.isBuffer(payload) || typeof payload === 'string' ? payload.length : 0
    // A closed connection emits no event for the end of its response.
    if (length <= smallAnswer || reply.raw.destroyed) {
      done(null, payload)
      return
    }
    const holder = requesterOrNetworkOf(request)
    if (!shares.tryTake(holder, length)) {
      observeShed()
      for (const field of itsFields) void reply.removeHeader(field)
      done(unavailable('too much of what you asked for waits for you to read it; try again in a moment'))
      return
    }
    reply.raw.once('close', () => shares.giveBack(holder, length))
    if (!Buffer.isBuffer(payload) || length <= sliceBytes) {
      done(null, payload)
      return
    }
    void reply.header('content-length', length)
    done(null, inSlices(payload))
  }
}
