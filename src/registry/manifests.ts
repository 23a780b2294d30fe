/**
 * GET and HEAD /v2/<name>/manifests/<reference> (end-3).
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { FetchManifest, ManifestRequest } from '../oci/image-source.ts'
import type { PullSpecOptions } from '../oci/pull-spec.ts'
import type { Digest, QciTag, Reference } from '../oci/reference.ts'
import { abortedWith } from './abort.ts'
import { requesterOf } from './requester.ts'
import { identityOf, referenceOf } from './request-context.ts'
import { isUnchanged } from './conditional.ts'
import { adviceOnMissingTag } from './missing-tag.ts'
import type { FindNearTag } from './near-tag.ts'

export interface ManifestsOptions extends PullSpecOptions {
  readonly fetchManifest: FetchManifest
  /** @throws {RegistryError} DENIED if the requester may not pull this digest */
  readonly authorizeDigest: (request: FastifyRequest, digest: Digest) => Promise<void>
  readonly findNearTag: FindNearTag
}

// RFC 7234 section 5.5.1; RFC 9111 section 5.5 made the field obsolete. No client shows code 110: it is for people who read the response.
const staleWarning = '110 - "Response is Stale"'

export const manifestHandler =
  (options: ManifestsOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const { fetchManifest, authorizeDigest } = options
    const reference = referenceOf(request)
    const wanted = new ClientManifestRequest(request, reply, reference)
    let manifest
    try {
      manifest = await fetchManifest(wanted)
    } catch (error) {
      throw await withAdvice(error, request, wanted, options)
    }
    // Attack: a tag of no image stream (`art__<hex>`, `latest`, `sha256-<hex>.att`) that points at a restricted image. The digest of the tag
    // decides.
    if (reference.kind === 'tag' && reference.owner.by !== 'image-stream')
      await authorizeDigest(request, manifest.digest)
    if (manifest.isStale) void reply.header('warning', staleWarning)
    const digestFields = { 'docker-content-digest': manifest.digest, etag: `"${manifest.digest}"` }
    if (isUnchanged(request.headers['if-none-match'], manifest.digest))
      return reply.code(304).headers(digestFields).send()
    // A Buffer or nothing: the framework would change the content type of a string, and clients verify the content type.
    return reply
      .headers({
        'content-type': manifest.mediaType,
        'content-length': manifest.size,
        ...digestFields,
      })
      .send(manifest.content)
  }

/** Adds advice to the error of a missing tag. No client shows the body of a HEAD. */
const withAdvice = async (
  error: unknown,
  request: FastifyRequest,
  { method, requester, signal }: ClientManifestRequest,
  options: ManifestsOptions,
): Promise<unknown> => {
  const reference = referenceOf(request)
  const isMissing = error instanceof RegistryError && error.code === 'MANIFEST_UNKNOWN'
  if (!isMissing || method === 'HEAD' || reference.kind === 'digest') return error
  const identity = identityOf(request)
  const text = await adviceOnMissingTag({ identity, reference, requester, signal }, options)
  return text === undefined ? error : new RegistryError(error.code, `${error.message}; ${text}`)
}

/**
 * The request for the cache and upstream. Its signal is created on demand, because a cache hit needs none. A class, because objects with a
 * getter of their own have different hidden classes in V8, which costs more than the signal.
 */
class ClientManifestRequest implements ManifestRequest {
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
