/**
 * GET and HEAD /v2/<name>/manifests/<reference> (end-3), and what can be learnt from each manifest that passes.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { DigestIndex } from '../access/digests.ts'
import { isDigest, type Digest, type ImageStream, type QciTag, type Reference } from '../reference.ts'
import { abortedWith } from './abort.ts'
import { askerOf } from './asker.ts'
import { referenceOf } from './authorization.ts'
import { isUnchanged } from './conditional.ts'

export interface ManifestsOptions {
  readonly fetchManifest: (request: {
    method: 'GET' | 'HEAD'
    reference: QciTag | Digest
    accept: string | undefined
    asker: string
    /** Made when it is looked at. */
    readonly signal: AbortSignal
  }) => Promise<{
    digest: Digest
    mediaType: string
    size: number
    content: Buffer | undefined
    isStale: boolean
  }>
  readonly digests: DigestIndex
  /** Told what a manifest that nobody has seen brings along. */
  readonly carry: (digests: readonly Digest[]) => void
}

// RFC 7234 section 5.5.1; RFC 9111 section 5.5 lets it be, since nearly nobody reads it. A client that shows warnings shows code 299
// alone, so this is for whoever looks at the answer.
const staleWarning = '110 - "Response is Stale"'

export const manifestHandler =
  ({ fetchManifest, digests, carry }: ManifestsOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const reference = referenceOf(request)
    const manifest = await fetchManifest(new Wanted(request, reply, reference))
    const seenIn = placesOf(reference, digests)
    digests.learn(manifest.digest, seenIn)
    if (manifest.content !== undefined) {
      const { manifests, blobs } = childrenOf(manifest.content)
      for (const digest of manifests) digests.learn(digest, seenIn)
      for (const digest of blobs) digests.learn(digest, seenIn)
      if (reference.kind === 'digest' && seenIn.length === 0) carry(blobs)
    }
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
class Wanted {
  readonly method: 'GET' | 'HEAD'
  readonly reference: QciTag | Digest
  readonly accept: string | undefined
  readonly asker: string
  readonly #reply: FastifyReply

  constructor(request: FastifyRequest, reply: FastifyReply, reference: Reference) {
    this.method = request.method === 'HEAD' ? 'HEAD' : 'GET'
    this.reference = reference.kind === 'tag' ? reference.qciTag : reference.digest
    this.accept = request.headers.accept
    this.asker = askerOf(request)
    this.#reply = reply
  }

  get signal(): AbortSignal {
    return abortedWith(this.#reply)
  }
}

/** Where what is served was seen: by tag, in the tag's image stream; by digest, wherever that digest was. */
const placesOf = (reference: Reference, digests: DigestIndex): readonly ImageStream[] => {
  if (reference.kind === 'digest') return digests.seenIn(reference.digest)
  const { owner } = reference
  if (owner.by === 'image-stream') return [owner.imageStream]
  return owner.by === 'digest' ? digests.seenIn(owner.digest) : []
}

interface Children {
  readonly manifests: readonly Digest[]
  readonly blobs: readonly Digest[]
}

/** By the Buffer that is served, which nobody writes to again. One that is kept in memory is parsed once, however often it is served. */
const read = new WeakMap<Buffer, Children>()

const childrenOf = (content: Buffer): Children => {
  const known = read.get(content)
  if (known !== undefined) return known
  const children = childrenIn(content)
  read.set(content, children)
  return children
}

/** Every digest that a manifest or an index names: of manifests, and of blobs (config and layers). */
const childrenIn = (content: Buffer): Children => {
  const manifest = parse(content)
  const named = (descriptors: readonly unknown[], field: string): readonly Digest[] =>
    descriptors
      .map((descriptor) => (descriptor as Readonly<Record<string, unknown>> | null | undefined)?.[field])
      .filter((digest) => typeof digest === 'string')
      .filter(isDigest)
  return {
    manifests: named(listOf(manifest['manifests']), 'digest'),
    blobs: [
      ...named([manifest['config'], ...listOf(manifest['layers'])], 'digest'),
      // Schema 1 calls its layers fsLayers, and their digest blobSum.
      ...named(listOf(manifest['fsLayers']), 'blobSum'),
    ],
  }
}

const parse = (content: Buffer): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(content.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    // Its digest is right, so this is what was pushed: it names no children, and the client may make of it what it can.
    return {}
  }
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
