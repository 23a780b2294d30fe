/** The image of a request, as log lines name it. */
import type { FastifyReply } from 'fastify'
import type { Reference } from '../oci/reference.ts'

export interface ImageFields {
  /** The QCI tag or the digest of the request. */
  readonly image: string
  /** The digest of the response; undefined for a tag without a successful response. */
  readonly digest: string | undefined
}

export const imageOf = (reference: Reference, reply: FastifyReply): ImageFields =>
  reference.kind === 'tag'
    ? {
        image: reference.qciTag,
        digest: reply.getHeader('docker-content-digest') as string | undefined,
      }
    : { image: reference.digest, digest: reference.digest }
