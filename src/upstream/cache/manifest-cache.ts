/**
 * The cache of manifests. By digest, a manifest is served for as long as there is room: it never changes. By tag, it is served for a short
 * time, and for a longer time while upstream fails. Access was decided before, for cached manifests as for all others.
 */
import { isDigest, type Digest, type QciTag } from '../../oci/reference.ts'
import type { FetchManifest, Manifest, ManifestRequest } from '../../oci/image-source.ts'
import { createAcceptSets } from './accept-key.ts'
import {
  isAbsence,
  isRetryable,
  sharedErrors,
  UpstreamRateLimited,
  TransientUpstreamError,
} from '../errors.ts'
import type { ManifestCacheOptions, ManifestSource } from './manifest-cache-options.ts'
import { createManifestsByDigest } from './manifests-by-digest.ts'
import { answerForSet, deleteOtherSets, deleteTag, digestsOfOtherSets } from './other-accept-sets.ts'
import { createDigestsByTag, tagKey, type CachedTag, type DigestsByTag } from './digests-by-tag.ts'
import { createSingleFlight, type SingleFlight } from '../../concurrency/single-flight.ts'

export interface Forgotten {
  readonly digests: readonly Digest[]
  /** Tags as upstream writes them. */
  readonly tags: readonly string[]
}

export interface ManifestCache {
  readonly fetchManifest: FetchManifest
  /** Forgets manifests and tags that an operator has removed from the disk. */
  readonly forget: (removed: Forgotten) => void
  readonly stats: () => { readonly manifests: number; readonly bytes: number; readonly tags: number }
}

/**
 * The first stale manifest must be served within 2 s of the loss of upstream. Half a second of them is for reviews at the API server and
 * the way to the client. A healthy upstream answers within a tenth of the rest.
 */
const defaultMaxWaitMs = 1500

export const createManifestCache = (options: ManifestCacheOptions): ManifestCache => new Cache(options)

interface Served {
  readonly answer: Manifest
  readonly source: ManifestSource
}

class Cache implements ManifestCache {
  readonly #options: ManifestCacheOptions
  readonly #now: () => number
  readonly #manifests
  readonly #tags: DigestsByTag
  readonly #acceptSetOf = createAcceptSets()
  readonly #share: SingleFlight<Manifest>

  constructor(options: ManifestCacheOptions) {
    const { maxBytes, tagTtlMs, staleIfErrorMs, now = () => performance.now() } = options
    this.#options = options
    this.#now = now
    this.#manifests = createManifestsByDigest(maxBytes)
    const tags = createDigestsByTag({ tagTtlMs, staleIfErrorMs, now })
    this.#tags = options.stored?.tags(tags) ?? tags
    this.#share = createSingleFlight<Manifest>({ ...sharedErrors, now })
  }

  readonly fetchManifest: FetchManifest = async (request) => {
    const found = this.#find(request)
    // A cached manifest is served without another turn of the microtasks: it is the most frequent request of all.
    const { answer: manifest, source } = found instanceof Promise ? await found : found
    this.#options.observe({ source })
    const isStale = source === 'stale'
    if (request.method === 'HEAD') return { ...manifest, content: undefined, isStale }
    return isStale ? { ...manifest, isStale } : manifest
  }

  readonly forget: ManifestCache['forget'] = ({ digests, tags }) => {
    for (const digest of digests) this.#manifests.delete(digest)
    for (const tag of tags) deleteTag(this.#tags, tag)
  }

  readonly stats: ManifestCache['stats'] = () => ({ ...this.#manifests.stats(), tags: this.#tags.size() })

  /** Reads only what it needs of the request: its signal is created when it is read. */
  #find(request: ManifestRequest): Served | Promise<Served> {
    // A tag is never a key of this cache.
    const manifest = this.#manifests.get(request.reference as Digest)
    if (manifest !== undefined) return { answer: manifest, source: 'cached' }
    return isDigest(request.reference) ? this.#fetchDigest(request) : this.#byTag(request)
  }

  #byTag(request: ManifestRequest): Served | Promise<Served> {
    const { key: acceptKey, accept } = this.#acceptSetOf(request.accept)
    const key = tagKey(request.reference, acceptKey)
    const tag = this.#tags.get(key)
    // If no cache has the manifest, the tag is fetched. This also takes one request, and shows whether the tag has moved.
    const manifest = tag && this.#manifests.get(tag.digest)
    if (manifest !== undefined && tag?.isFresh === true) return { answer: manifest, source: 'cached' }
    if (manifest !== undefined && tag?.isFailing === true) return { answer: manifest, source: 'stale' }
    if (manifest === undefined && tag !== undefined && this.#options.stored !== undefined)
      return this.#readTag(request, key, accept, tag)
    // Attack: otherwise a cached manifest of another Accept set would count as the current answer of upstream.
    const others =
      tag === undefined && request.priority === undefined
        ? digestsOfOtherSets(this.#tags, request.reference as QciTag)
        : []
    return others.length === 0
      ? this.#fetchTag(request, key, accept, manifest)
      : this.#fetchUnknownTag(request, key, accept, others)
  }

  async #fetchUnknownTag(
    request: ManifestRequest,
    key: string,
    accept: string,
    others: readonly Digest[],
  ): Promise<Served> {
    const manifest = await answerForSet(others, accept, async (digest) => await this.#cached(request, digest))
    return await this.#fetchTag(request, key, accept, manifest)
  }

  /** The cached manifest of a tag, in memory or on the disk. */
  async #cached({ reference, requester }: ManifestRequest, digest: Digest): Promise<Manifest | undefined> {
    const { stored } = this.#options
    return this.#manifests.get(digest) ?? (await stored?.read(reference as QciTag, digest, requester))
  }

  /** For a tag whose manifest is not in memory: it may be on the disk. */
  async #readTag(request: ManifestRequest, key: string, accept: string, tag: CachedTag): Promise<Served> {
    const { reference, requester } = request
    const stored = await this.#options.stored?.read(reference as QciTag, tag.digest, requester)
    if (stored === undefined) return await this.#fetchTag(request, key, accept, undefined)
    const answer = this.#manifests.add(stored)
    if (tag.isFresh) return { answer, source: 'cached' }
    if (tag.isFailing) return { answer, source: 'stale' }
    return await this.#fetchTag(request, key, accept, answer)
  }

  async #fetchDigest(request: ManifestRequest): Promise<Served> {
    const { reference, requester, signal, priority } = request
    const method = this.#methodFor(request)
    // For a digest, quay ignores Accept. A cache in front of quay may not, and this response is for all requesters.
    const load = async () => await this.#load({ method, reference, requester, priority, accept: undefined })
    return await this.#share({ key: `${flightKey(request, method)} ${reference}`, requester, load, signal })
  }

  async #fetchTag(
    request: ManifestRequest,
    key: string,
    accept: string,
    manifest: Manifest | undefined,
  ): Promise<Served> {
    const { reference, requester, signal, priority } = request
    const method = this.#methodFor(request)
    const load = async () => await this.#refresh(key, { method, reference, requester, priority, accept })
    const { maxWaitMs = defaultMaxWaitMs } = this.#options
    const fallback = manifest && { answer: manifest, appliesTo: isTransient, maxWaitMs }
    return await this.#share({
      key: `${flightKey(request, method)} ${key}`,
      requester,
      load,
      signal,
      fallback,
    })
  }

  /** Fetches a tag, and caches its digest. */
  async #refresh(key: string, request: ManifestRequest): Promise<Manifest> {
    const sentAt = this.#now()
    try {
      const manifest = await this.#load(request)
      // If a tag moved to an uncacheable manifest, its cached digest is wrong.
      if (this.#manifests.get(manifest.digest) === undefined) this.#tags.delete(key)
      else this.#tags.confirm(key, manifest.digest, sentAt)
      return manifest
    } catch (error) {
      // Attack: a requester over their own rate limit would keep a tag stale for everybody else.
      const isLimit = error instanceof UpstreamRateLimited || request.priority === 'background'
      if (isTransient(error) && !isLimit) this.#tags.failed(key)
      if (!isRetryable(error)) this.#tags.delete(key)
      if (isAbsence(error)) await this.#deleteOtherSets(request, sentAt)
      throw error
    }
  }

  async #deleteOtherSets(request: ManifestRequest, sentAt: number): Promise<void> {
    const { reference, accept = '' } = request
    const absent = { reference: reference as QciTag, accept, sentAt }
    await deleteOtherSets(this.#tags, absent, async (digest) => await this.#cached(request, digest))
  }

  /** Without the signal of the requester, who may leave while others wait. */
  async #load({ method, reference, accept, requester, priority }: ManifestRequest): Promise<Manifest> {
    return this.#manifests.add(await this.#options.fetch({ method, reference, accept, requester, priority }))
  }

  /**
   * GET even for HEAD: a client that resolves a tag requests its manifest next, and only the bytes tell what the tag reaches. For a digest
   * this has no use if no manifests are cached.
   */
  #methodFor({ method, reference }: ManifestRequest): 'GET' | 'HEAD' {
    return this.#options.maxBytes > 0 || !isDigest(reference) ? 'GET' : method
  }
}

/** Background requests share fetches only with each other. Otherwise a user would wait for a fetch of low priority. */
const flightKey = ({ priority }: ManifestRequest, method: string): string =>
  priority === undefined ? method : `${priority} ${method}`

/** A refusal of the robot or an absence is an answer: the stale manifest must not be served then. */
const isTransient = (error: unknown): boolean => error instanceof TransientUpstreamError
