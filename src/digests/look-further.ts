/**
 * Before a digest is refused: what other replicas know is looked at, what a restricted namespace claims is checked, and the tags that the
 * requester may pull and that could reach the digest are resolved. Nothing here opens anything: it makes facts, and the decision is
 * made again.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import { Pace } from '../concurrency/pace.ts'
import { tagPrefixOf, type Digest, type ImageStream, type QciTag, type Repository } from '../oci/reference.ts'
import { qciTagOf, type ClaimedTag } from './image-stream-claims.ts'
import type { ReachGraph } from './reach-graph.ts'
import { scanPrefix, type TagPage } from './restricted-index/tag-scan.ts'

/** Reads of upstream that the requester pays for. */
export interface UpstreamReads {
  /** Fetches a manifest, which makes its facts. Undefined where upstream has none. @throws {RegistryError} */
  readonly fetchManifest: (reference: QciTag | Digest, requester: string) => Promise<Digest | undefined>
  /** @throws {RegistryError} */
  readonly fetchPage: (after: string | undefined, requester: string) => Promise<TagPage>
}

export interface LookFurtherOptions {
  readonly graph: Pick<ReachGraph, 'reachOf' | 'childrenOf' | 'settled'>
  readonly claimsOf: (digest: Digest) => readonly ClaimedTag[]
  readonly upstream: UpstreamReads
  /** Resolves once what other replicas know is known here, or cannot be had in time: then with false. */
  readonly catchUp: () => Promise<boolean>
  /** Checks what restricted namespaces claim; see `ClaimChecks`. */
  readonly checkClaims: (digest: Digest, fetch: (tag: QciTag) => Promise<unknown>) => Promise<void>
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** For whom a digest is looked for, and where. */
export interface Search {
  readonly repository: Repository
  /** Who pays for it. */
  readonly requester: string
  readonly mayPull: (imageStream: ImageStream) => Promise<boolean>
}

/** What a search came to. */
export interface SearchResult {
  /** Something was learnt, so that it is worth to decide again. */
  readonly hasNewFacts: boolean
  /** What other replicas know was looked at: a refusal is not for want of it. */
  readonly isCertain: boolean
}

/** Looks for what could turn the refusal of a digest. */
export type LookFurther = (digest: Digest, search: Search) => Promise<SearchResult>

/** Tags that are resolved for one search. */
const maxTags = 32
/** Pages of an image stream's tags that are read for one search. */
const maxPages = 3
/** Claims that are resolved for one search, and those whose right is reviewed for it. */
const maxClaims = 4
const maxReviewed = 16
/** A search that has found nothing is not made again for so long: every request of a failing pull would. */
const forgetMs = 10_000
const maxSearches = 10_000
/** Searches at upstream of one requester: one that would have to wait is not made. */
const searchPace = { burst: 10, everyMs: 5000, maxWaitMs: 0 }

export const createLookFurther = (options: LookFurtherOptions): LookFurther => {
  const { graph, catchUp, now = () => performance.now() } = options
  const searched = createBoundedCache<string, Promise<void>>(maxSearches, { ttlMs: forgetMs, now })
  // Attack: somebody who asks for digests that nobody knows would have upstream's limits used up by our searches.
  const pace = new Pace({ ...searchPace, now })

  const stateOf = (digest: Digest): string => {
    const { imageStreams, isOpen, isRestricted, isOfNobody } = graph.reachOf(digest)
    return JSON.stringify([imageStreams, isOpen, isRestricted, isOfNobody])
  }

  return async (digest, search) => {
    const before = stateOf(digest)
    const isCertain = await catchUp()
    await graph.settled()
    const { path } = search.repository
    // A claim that has come meanwhile makes it another search.
    const claims = options.claimsOf(digest).map(({ namespace, name, tag }) => `${namespace}/${name}:${tag}`)
    const key = [search.requester, path, digest, ...claims.slice(0, maxClaims)].join(' ')
    const known = searched.get(key)
    const isClaimed = claims.length > 0
    if (known !== undefined) await unlessRestricted(known, () => graph.reachOf(digest))
    else if (pace.next(search.requester) !== undefined) {
      const looking = lookAtUpstream(digest, search, options)
      searched.set(key, looking)
      // What could not be asked is asked again.
      looking.catch(() => searched.delete(key))
      await unlessRestricted(looking, () => graph.reachOf(digest))
    }
    await graph.settled()
    return { hasNewFacts: isClaimed || stateOf(digest) !== before, isCertain }
  }
}

/** While upstream has trouble, what is known to be restricted is refused by what is known: that is certain enough. */
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

/** The tags that claim the digest, then those of the image stream that the requester named, as far as the requester may pull them. */
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
  // Attack: claims that the requester may not pull, made by others, would use up the bound before the right one comes.
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

/** A tag, and the manifests below it that are not known yet. */
const resolve = async (
  tag: QciTag,
  requester: string,
  { graph, upstream }: LookFurtherOptions,
): Promise<void> => {
  const digest = await upstream.fetchManifest(tag, requester)
  if (digest === undefined) return
  for (const child of graph.childrenOf(digest)?.manifests ?? [])
    if (graph.childrenOf(child) === undefined) await upstream.fetchManifest(child, requester)
  await graph.settled()
}
