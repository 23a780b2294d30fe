/**
 * Checks whether upstream has an image that the requester may pull. It sends the request of a pull, with the same limits, and with a
 * deadline.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { FetchManifest } from '../oci/image-source.ts'
import type { Digest, Reference } from '../oci/reference.ts'
import { abortedWith } from '../registry/abort.ts'
import type { AuthorizationOptions } from '../registry/authorization.ts'
import { adviceOnMissingTag } from '../registry/missing-tag.ts'
import type { FindNearTag } from '../registry/near-tag.ts'
import { identityOf } from '../registry/request-context.ts'
import { requesterOf } from '../registry/requester.ts'

export interface FindInQciOptions extends AuthorizationOptions {
  readonly fetchManifest: FetchManifest
  readonly findNearTag: FindNearTag
}

export type Found =
  | { readonly inQci: 'yes'; readonly digest: Digest }
  /** `failure`: the error message of the pull. */
  | { readonly inQci: 'no'; readonly failure: string; readonly advice: string | undefined }
  | { readonly inQci: 'unknown'; readonly failure: string }

/** Milliseconds. */
const maxWaitMs = 4000

export const findInQci = async (
  request: FastifyRequest,
  reply: FastifyReply,
  reference: Reference,
  options: FindInQciOptions,
): Promise<Found> => {
  const caller = {
    requester: requesterOf(request),
    signal: AbortSignal.any([abortedWith(reply), AbortSignal.timeout(maxWaitMs)]),
  }
  const name = reference.kind === 'tag' ? reference.qciTag : reference.digest
  try {
    const { digest } = await options.fetchManifest({
      method: 'HEAD',
      reference: name,
      accept: undefined,
      ...caller,
    })
    return { inQci: 'yes', digest }
  } catch (error) {
    if (caller.signal.aborted) return { inQci: 'unknown', failure: 'the upstream registry is too slow' }
    if (!(error instanceof RegistryError)) throw error
    const { code, message: failure } = error
    if (code !== 'MANIFEST_UNKNOWN') return { inQci: 'unknown', failure }
    const wanted = { identity: identityOf(request), ...caller }
    const advice =
      reference.kind === 'tag' ? await adviceOnMissingTag({ ...wanted, reference }, options) : undefined
    return { inQci: 'no', failure, advice }
  }
}
