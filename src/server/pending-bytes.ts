/**
 * A bound on the bytes of answers that wait for their clients, shared out by who asks. Not of blobs: of these one piece waits.
 *
 * Attack: hundreds of requests for a manifest of megabytes, by a client that reads none.
 */
import type { onSendHookHandler } from 'fastify'
import { unavailable } from '../oci/errors.ts'
import { requesterOrNetworkOf } from '../registry/requester.ts'
import { inSlices, sliceBytes } from './answer-slices.ts'
import { FairShares } from './fair-shares.ts'

export interface PendingBytesOptions {
  readonly maxPendingBytes: number
  /** Called for each answer that is not given. */
  readonly observeShed: () => void
}

/** Bytes of an answer that is not counted: the kernel takes that much for any client, and `maxRequests` bounds how many there are. */
const smallAnswer = 16 * 1024

/** What speaks of the answer that was to be, and not of the refusal. */
const itsFields = ['etag', 'docker-content-digest', 'oci-filters-applied', 'link', 'warning', 'cache-control']

/** A hook for `onSend`: an answer that would be too much is a 503 before a byte of it is handed over. */
export const boundPendingBytes = ({
  maxPendingBytes,
  observeShed,
}: PendingBytesOptions): onSendHookHandler => {
  const shares = new FairShares(maxPendingBytes)
  return (request, reply, payload, done) => {
    // A stream has a length of its own kind: none.
    const length = Buffer.isBuffer(payload) || typeof payload === 'string' ? payload.length : 0
    // Of a connection that is gone nobody will hear that the answer is through.
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
