/**
 * GET /v2/<name>/referrers/<digest> (end-12a, end-12b).
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
import type { RouteHandlerMethod } from 'fastify'
import { RegistryError } from '../errors.ts'
import type { Digest } from '../reference.ts'
import { abortedWith } from './abort.ts'
import { askerOf } from './asker.ts'
import { referenceOf } from './authorization.ts'

export interface ReferrersOptions {
  readonly fetchReferrers: (request: {
    digest: Digest
    artifactType: string | undefined
    asker: string
    signal: AbortSignal
  }) => Promise<{ content: Buffer; filtersApplied: string | undefined }>
}

// RFC 6838 section 4.2, type "/" subtype.
const mediaTypePattern = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i

export const referrersHandler =
  ({ fetchReferrers }: ReferrersOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const reference = referenceOf(request)
    if (reference.kind !== 'digest') throw new Error('referrers are asked for by digest')
    const { content, filtersApplied } = await fetchReferrers({
      digest: reference.digest,
      artifactType: artifactTypeOf(request.query as { artifactType?: unknown }),
      asker: askerOf(request),
      signal: abortedWith(reply),
    })
    if (filtersApplied !== undefined) void reply.header('oci-filters-applied', filtersApplied)
    return reply.headers({ 'content-type': 'application/vnd.oci.image.index.v1+json' }).send(content)
  }

const artifactTypeOf = ({ artifactType }: { artifactType?: unknown }): string | undefined => {
  if (artifactType === undefined || (typeof artifactType === 'string' && mediaTypePattern.test(artifactType)))
    return artifactType
  throw new RegistryError('UNSUPPORTED', 'artifactType is not a media type, such as application/spdx+json', {
    status: 400,
  })
}
