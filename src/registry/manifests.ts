/**
 * GET and HEAD /v2/<name>/manifests/<reference> (end-3).
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { FetchManifest, ManifestRequest } from '../oci/image-source.ts'
import type { Digest, QciTag, Reference } from '../oci/reference.ts'
import { abortedWith } from './abort.ts'
import { requesterOf } from './requester.ts'
import { referenceOf } from './authorization.ts'
import { isUnchanged } from './conditional.ts'

export interface ManifestsOptions {
  readonly fetchManifest: FetchManifest
  /** @throws {RegistryError} DENIED, where the requester may not pull this digest */
  readonly authorizeDigest: (request: FastifyRequest, digest: Digest) => Promise<void>
}

// RFC 7234 section 5.5.1; RFC 9111 section 5.5 lets it be, since nearly nobody reads it. A client that shows warnings shows code 299
// alone, so this is for whoever looks at the answer.
const staleWarning = '110 - "Response is Stale"'

export const manifestHandler =
  ({ fetchManifest, authorizeDigest }: ManifestsOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const reference = referenceOf(request)
    const manifest = await fetchManifest(new Wanted(request, reply, reference))
    // Attack: a tag of nobody (`art__<hex>`, `latest`) points at a restricted image. What it stands for is decided by its digest.
    if (reference.kind === 'tag' && reference.owner.by === 'qci')
      await authorizeDigest(request, manifest.digest)
    if (manifest.isStale) void reply.header('warning', staleWarning)
    const held = { 'docker-content-digest': manifest.digest, etag: `"${manifest.digest}"` }
    if (isUnchanged(request.headers['if-none-match'], manifest.digest))
      return reply.code(304).headers(held).send()
    // A Buffer or nothing: of a string the framework would alter the content type, which is part of what is verified.
    return reply
      .headers({
        'content-type': manifest.mediaType,
        'content-length': manifest.size,
        ...held,
      })
      .send(manifest.content)
  }

/**
 * What is asked for. Nearly all of it is in memory, where nobody looks at the signal: it is made for those who do. A class, since each
 * object with a getter of its own would be a shape of its own to the engine, and cost more than the signal.
 */
class Wanted implements ManifestRequest {
  readonly method: 'GET' | 'HEAD'
  readonly reference: QciTag | Digest
  readonly accept: string | undefined
  readonly requester: string
  readonly #reply: FastifyReply

  constructor(request: FastifyRequest, reply: FastifyReply, reference: Reference) {
    this.method = request.method === 'HEAD' ? 'HEAD' : 'GET'
    this.reference = reference.kind === 'tag' ? reference.qciTag : reference.digest
    this.accept = request.headers.accept
    this.requester = requesterOf(request)
    this.#reply = reply
  }

  get signal(): AbortSignal {
    return abortedWith(this.#reply)
  }
}
