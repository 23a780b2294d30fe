/**
 * Manifests from memory. By digest for as long as there is room: they never change. By tag for a short life, and while upstream has
 * trouble for a longer one. Whether the requester may have it was decided before, for what is here as for everything else.
 */
import { isDigest, type Digest, type QciTag } from '../../oci/reference.ts'
import { createAcceptSets } from './accept-key.ts'
import { isRetryable, sharedErrors, UpstreamRateLimited, TransientUpstreamError } from '../errors.ts'
import { createKeptManifests, type KeptManifests } from './manifests-by-digest.ts'
import { createKnownTags, type SeenTag, type KnownTags } from './digests-by-tag.ts'
import type { FetchManifest, Manifest, ManifestRequest } from '../manifests.ts'
import { createSingleFlight, type Shared, type SingleFlight } from '../../concurrency/single-flight.ts'

/** Where a manifest came from. `shared`: it waited for the request of another. */
export type ManifestSource = 'cached' | 'live' | 'shared' | 'stale'

export interface ManifestCacheOptions {
  /** Asks upstream. */
  readonly fetch: FetchManifest
  /** Bound on what is kept; 0 keeps nothing. */
  readonly maxBytes: number
  /** Milliseconds for which a tag is taken to stay where it was seen. */
  readonly tagTtlMs: number
  /** Milliseconds since upstream last confirmed a tag for which it is served while upstream has trouble. */
  readonly staleIfErrorMs: number
  /** Told of each manifest that is served. */
  readonly observe: (served: { source: ManifestSource }) => void
  /** What is cached on a disk; nothing unless given. */
  readonly stored?: {
    /** The same tags, and those of an earlier life of the program. */
    readonly tags: (tags: KnownTags) => KnownTags
    /** Undefined for a manifest that is not stored. Never rejects. */
    readonly read: (tag: QciTag, digest: Digest, requester: string) => Promise<Manifest | undefined>
  }
  /** Milliseconds that a requester waits for upstream where a known manifest could be served instead. */
  readonly maxWaitMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export interface ManifestMemory {
  readonly fetchManifest: FetchManifest
  readonly stats: () => { readonly manifests: number; readonly bytes: number; readonly tags: number }
}

/**
 * Within 2 s of the loss of upstream the first stale copy is to be out: half a second of them for reviews at the API server and the
 * way to the client. An upstream that is well answers in a tenth of the rest.
 */
const defaultPatienceMs = 1500

const nothingStored: NonNullable<ManifestCacheOptions['stored']> = {
  tags: (tags) => tags,
  read: async () => await Promise.resolve(undefined),
}

export const createManifestCache = (options: ManifestCacheOptions): ManifestMemory => {
  const { fetch, maxBytes, observe, maxWaitMs = defaultPatienceMs, now = () => performance.now() } = options
  const kept = createKeptManifests(maxBytes)
  const { tags: withStored, read: readStored } = options.stored ?? nothingStored
  const tags = withStored(createKnownTags({ ...options, now }))
  const share = createSingleFlight<Manifest>({ ...sharedErrors, now })
  const load: FetchManifest = async ({ method, reference, accept, requester, priority }) =>
    kept.keep(await fetch({ method, reference, accept, requester, priority }))
  // Asked with GET: who asks what a tag is asks for just that next, and what the tag reaches is known by the bytes alone. Where nothing is
  // kept there is no use in it for a digest.
  const methodFor = ({ method, reference }: ManifestRequest) =>
    maxBytes > 0 || !isDigest(reference) ? 'GET' : method
  const parts = { kept, tags, share, load, readStored, methodFor, maxWaitMs, now }
  const byDigest = createByDigest(parts)
  const byTag = createByTag(parts)
  return {
    fetchManifest: async (request) => {
      const found = (isDigest(request.reference) ? byDigest : byTag)(request)
      // What is here is here at once: of all that is asked for the most, and by the most.
      const { answer: manifest, source } = found instanceof Promise ? await found : found
      observe({ source })
      const isStale = source === 'stale'
      if (request.method === 'HEAD') return { ...manifest, content: undefined, isStale }
      return isStale ? { ...manifest, isStale } : manifest
    },
    stats: () => ({ ...kept.stats(), tags: tags.size() }),
  }
}

interface MemoryParts {
  readonly kept: KeptManifests
  readonly tags: KnownTags
  readonly share: SingleFlight<Manifest>
  /** Asks upstream, without the signal of the requester, who may leave while others wait; and keeps what can be kept. */
  readonly load: FetchManifest
  readonly readStored: NonNullable<ManifestCacheOptions['stored']>['read']
  /** What upstream is asked with. */
  readonly methodFor: (request: ManifestRequest) => 'GET' | 'HEAD'
  readonly maxWaitMs: number
  readonly now: () => number
}

interface Served {
  readonly answer: Manifest
  readonly source: ManifestSource
}
/** Looks at nothing of the request but what it needs: its signal is made when it is looked at. */
type ServeManifest = (request: ManifestRequest) => Served | Promise<Served>

const createByDigest = ({ kept, share, load, methodFor }: MemoryParts): ServeManifest => {
  const asked = async (request: ManifestRequest): Promise<Served> => {
    const { reference, requester, signal, priority } = request
    const method = methodFor(request)
    // Quay answers for a digest whatever Accept says. A cache in front of it may not: this is asked for all who ask.
    const question = async () => await load({ method, reference, requester, priority, accept: undefined })
    return fresh(
      await share({ key: `${flightKey(request, method)} ${reference}`, requester, load: question, signal }),
    )
  }
  return (request) => {
    const manifest = kept.get(request.reference as Digest)
    return manifest === undefined ? asked(request) : { answer: manifest, source: 'cached' }
  }
}

const createByTag = (parts: MemoryParts): ServeManifest => {
  const { kept, tags, share, readStored, methodFor, maxWaitMs } = parts
  const acceptSetOf = createAcceptSets()
  const refresh = createRefresh(parts)
  const asked = async (
    request: ManifestRequest,
    { key, accept }: { readonly key: string; readonly accept: string },
    manifest: Manifest | undefined,
  ): Promise<Served> => {
    const { reference, requester, signal, priority } = request
    const method = methodFor(request)
    const load = async () => await refresh(key, { method, reference, requester, priority, accept })
    const fallback = manifest && { answer: manifest, appliesTo: isTransient, maxWaitMs }
    return fresh(
      await share({ key: `${flightKey(request, method)} ${key}`, requester, load, signal, fallback }),
    )
  }
  const askedWithStored = async (
    request: ManifestRequest,
    accept: { readonly key: string; readonly accept: string },
    { digest, isFresh, isFailing }: SeenTag,
  ): Promise<Served> => {
    const stored = await readStored(request.reference as QciTag, digest, request.requester)
    if (stored === undefined) return await asked(request, accept, undefined)
    const answer = kept.keep(stored)
    if (isFresh || isFailing) return { answer, source: isFresh ? 'cached' : 'stale' }
    return await asked(request, accept, answer)
  }
  return (request) => {
    const { key: acceptKey, accept } = acceptSetOf(request.accept)
    const key = `${request.reference} ${acceptKey}`
    const tag = tags.get(key)
    // One that is nowhere any more is asked for by tag again: the same one request, and it tells whether the tag has moved.
    const manifest = tag && kept.get(tag.digest)
    if (manifest !== undefined && tag?.isFresh === true) return { answer: manifest, source: 'cached' }
    if (manifest !== undefined && tag?.isFailing === true) return { answer: manifest, source: 'stale' }
    if (manifest === undefined && tag !== undefined) return askedWithStored(request, { key, accept }, tag)
    return asked(request, { key, accept }, manifest)
  }
}

/** What waits in the background is joined by the background alone: people would wait behind everybody. */
const flightKey = ({ priority }: ManifestRequest, method: string): string =>
  priority === undefined ? method : `${priority} ${method}`

/** A refusal of the robot or an absence is an answer: what was there before counts no more. */
const isTransient = (error: unknown): boolean => error instanceof TransientUpstreamError

const fresh = ({ answer, source }: Shared<Manifest>): Served => ({
  answer,
  source,
})

/** Asks where a tag is, and remembers what comes of it. */
const createRefresh =
  ({ kept, tags, load, now }: MemoryParts) =>
  async (key: string, request: ManifestRequest): Promise<Manifest> => {
    const askedAt = now()
    try {
      const manifest = await load(request)
      // A tag that moved to what cannot be kept is not where it was.
      if (kept.get(manifest.digest) === undefined) tags.forget(key)
      else tags.confirm(key, manifest.digest, askedAt)
      return manifest
    } catch (error) {
      // Attack: a limit may be of the requester alone, who would keep the tag where it is for everybody else by asking too much.
      const isLimit = error instanceof UpstreamRateLimited || request.priority === 'background'
      if (isTransient(error) && !isLimit) tags.failed(key)
      // An absence or a refusal. For this Accept set alone: quay answers 404 as well where it stores a type that is not in it.
      if (!isRetryable(error)) tags.forget(key)
      throw error
    }
  }
