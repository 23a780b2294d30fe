/**
 * The search before a digest is refused. It reads the facts of other replicas, checks claims of restricted namespaces, and resolves
 * tags that could reach the digest and that the requester may pull. It opens nothing: it records facts, and the caller decides again.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import { Pace } from '../concurrency/pace.ts'
import { tagPrefixOf, type Digest, type ImageStream, type QciTag, type Repository } from '../oci/reference.ts'
import { qciTagOf, type ClaimedTag } from './image-stream-claims.ts'
import type { ReachGraph } from './reach-graph.ts'
import { scanPrefix, type TagPage } from './restricted-index/tag-scan.ts'

/** Reads of upstream that count against the rate limits of the requester. */
export interface UpstreamReads {
  /** Fetches a manifest and records its facts. @returns undefined if upstream has none @throws {RegistryError} */
  readonly fetchManifest: (reference: QciTag | Digest, requester: string) => Promise<Digest | undefined>
  /** @throws {RegistryError} */
  readonly fetchPage: (after: string | undefined, requester: string) => Promise<TagPage>
}

export interface LookFurtherOptions {
  readonly graph: Pick<ReachGraph, 'reachOf' | 'childrenOf' | 'settled'>
  readonly claimsOf: (digest: Digest) => readonly ClaimedTag[]
  readonly upstream: UpstreamReads
  /** Resolves once the facts of other replicas are applied here; with false if that is not possible in time. */
  readonly catchUp: () => Promise<boolean>
  /** Checks claims of restricted namespaces; see `ClaimChecks`. */
  readonly checkClaims: (digest: Digest, fetch: (tag: QciTag) => Promise<unknown>) => Promise<void>
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** The requester and the repository of a search. */
export interface Search {
  readonly repository: Repository
  /** Whose rate limits the search counts against. */
  readonly requester: string
  readonly mayPull: (imageStream: ImageStream) => Promise<boolean>
}

/** The result of a search. */
export interface SearchResult {
  /** The search found new facts, or a claim: decide again. */
  readonly hasNewFacts: boolean
  /** The facts of other replicas were read: a refusal does not rest on a missing fact. */
  readonly isCertain: boolean
}

/** Looks for what could turn the refusal of a digest. */
export type LookFurther = (digest: Digest, search: Search) => Promise<SearchResult>

/** Tags that are resolved for one search. */
const maxTags = 32
/** Manifests below a tag that one search fetches: the platforms of an image are fewer. */
const maxBelow = 64
/** Pages of an image stream's tags that are read for one search. */
const maxPages = 3
/** Claims that one search resolves, and claims for which it reviews the access of the requester. */
const maxClaims = 4
const maxReviewed = 16
/** A finished search is not repeated within this time: each request of a failing pull would start one. */
const forgetMs = 10_000
const maxSearches = 10_000
/** Searches at upstream of one requester. A search over the limit is skipped. */
const searchPace = { burst: 10, everyMs: 5000, maxWaitMs: 0 }

export const createLookFurther = (options: LookFurtherOptions): LookFurther => {
  const { graph, catchUp, now = () => performance.now() } = options
  const searched = createBoundedCache<string, Promise<void>>(maxSearches, { ttlMs: forgetMs, now })
  // Attack: a requester sends requests for unknown digests, so that our searches use up the rate limits of upstream.
  const pace = new Pace({ ...searchPace, now })

  const stateOf = (digest: Digest): string => {
    const { imageStreams, isOpen, isRestricted, isUnowned } = graph.reachOf(digest)
    return JSON.stringify([imageStreams, isOpen, isRestricted, isUnowned])
  }

  return async (digest, search) => {
    const before = stateOf(digest)
    const isCertain = await catchUp()
    await graph.settled()
    const { path } = search.repository
    // New claims make it another search.
    const claims = options.claimsOf(digest).map(({ namespace, name, tag }) => `${namespace}/${name}:${tag}`)
    const key = [search.requester, path, digest, ...claims.slice(0, maxClaims)].join(' ')
    const recent = searched.get(key)
    const isClaimed = claims.length > 0
    if (recent !== undefined) await unlessRestricted(recent, () => graph.reachOf(digest))
    else if (pace.next(search.requester) !== undefined) {
      const looking = lookAtUpstream(digest, search, options)
      searched.set(key, looking)
      // A failed search may be repeated at once.
      looking.catch(() => searched.delete(key))
      await unlessRestricted(looking, () => graph.reachOf(digest))
    }
    await graph.settled()
    return { hasNewFacts: isClaimed || stateOf(digest) !== before, isCertain }
  }
}

/** A digest that is known to be restricted is refused even while upstream fails. */
const unlessRestricted = async (
  looking: Promise<void>,
  reach: () => { readonly isRestricted: boolean },
): Promise<void> => {
  try {
    await looking
  } catch (error) {
    if (!reach().isRestricted) throw error
  }
}

const lookAtUpstream = async (digest: Digest, search: Search, options: LookFurtherOptions): Promise<void> => {
  await resolveTags(digest, search, options)
  await options.checkClaims(
    digest,
    async (tag) => await options.upstream.fetchManifest(tag, search.requester),
  )
}

/** Resolves the tags that claim the digest, then the tags of the requested image stream, if the requester may pull them. */
const resolveTags = async (digest: Digest, search: Search, options: LookFurtherOptions): Promise<void> => {
  const { graph, claimsOf, upstream } = options
  const { repository, requester, mayPull } = search
  const named = repository.form === 'image-stream' ? repository : undefined
  const isFoundIn = (wanted: string) =>
    graph.reachOf(digest).imageStreams.some(({ namespace }) => namespace === wanted)
  const claims = claimsOf(digest).filter(
    ({ namespace }) => named === undefined || namespace === named.namespace,
  )
  let resolved = 0
  // Attack: other projects make claims that the requester may not pull, to use up the bound before the right claim.
  for (const claim of claims.slice(0, maxReviewed)) {
    const { namespace, name } = claim
    if (!(await mayPull({ namespace, name }))) continue
    await resolve(qciTagOf(claim), requester, options)
    if (isFoundIn(namespace)) return
    if (++resolved >= maxClaims) break
  }
  if (named === undefined || isFoundIn(named.namespace) || !(await mayPull(named))) return
  const fetchPage = async (after: string | undefined) => await upstream.fetchPage(after, requester)
  let [tags, pages] = [0, 0]
  for await (const page of scanPrefix(fetchPage, tagPrefixOf(named))) {
    for (const tag of page as readonly QciTag[]) {
      if (tags++ >= maxTags) return
      await resolve(tag, requester, options)
      if (isFoundIn(named.namespace)) return
    }
    if (++pages >= maxPages) return
  }
}

/** Fetches a tag, and the manifests below it that are not in the graph yet. */
const resolve = async (
  tag: QciTag,
  requester: string,
  { graph, upstream }: LookFurtherOptions,
): Promise<void> => {
  const digest = await upstream.fetchManifest(tag, requester)
  if (digest === undefined) return
  for (const child of graph.childrenOf(digest)?.manifests.slice(0, maxBelow) ?? [])
    if (graph.childrenOf(child) === undefined) await upstream.fetchManifest(child, requester)
  await graph.settled()
}
