/**
 * The facts of the graph: recorded here, published to other replicas, and listed for a restart.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import type { Digest, QciTag } from '../oci/reference.ts'
import { snapshotOf, type Fact, type SeenTag } from './fact-snapshot.ts'
import type { ManifestChildren } from './manifest-names.ts'
import type { ReachGraph } from './reach-graph.ts'
import { isRestricted, restrictedLifeMs, type Location } from './sightings.ts'

export type { Fact, SeenTag } from './fact-snapshot.ts'

export interface FactsOptions {
  readonly graph: ReachGraph
  /** Returns what decides access to a tag. */
  readonly locate: (tag: QciTag) => Location
  /** Resolves once other replicas can read the facts, or the deadline is over. Never rejects. */
  readonly publish: (facts: readonly Fact[]) => Promise<void>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

interface StoredTag extends SeenTag {
  /** When this replica published the fact, or read it from another replica. */
  readonly publishedAt: number
}

/** How often a tag that is pulled all the time is recorded again, in case its entries were evicted. */
const recordAgainMs = 60_000
/** How often an unchanged tag is published again: far below the day after which a fact expires. */
const publishAgainMs = 3600_000
const maxOpenTags = 100_000
const maxManifests = 300_000

export class Facts {
  readonly #options: FactsOptions
  readonly #now: () => number
  /** By tag and digest: a tag that moved, or that has a manifest for each Accept header, reaches both digests. */
  readonly #open = createBoundedCache<string, StoredTag>(maxOpenTags)
  readonly #restricted = new Map<string, StoredTag>()
  readonly #newest = new Map<QciTag, SeenTag>()
  /** Manifests whose children were published: when, and whether as restricted. */
  readonly #published = createBoundedCache<Digest, { readonly isRestricted: boolean; readonly at: number }>(
    maxManifests,
  )

  /**
   * Facts on their way to other replicas, by the manifests they are about. A second request for such a manifest has nothing to publish,
   * and waits for the first one: its client may send the next request to another replica.
   */
  readonly #publishing = new Map<Digest, Promise<unknown>>()

  constructor(options: FactsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * Records a manifest that was fetched from upstream and verified. Serve the manifest only after this resolves: then the graph has the
   * facts, and other replicas can read them.
   * @param tag undefined for a request by digest
   */
  async record(
    tag: QciTag | undefined,
    digest: Digest,
    children: ManifestChildren | undefined,
  ): Promise<void> {
    const { graph } = this.#options
    const mark = graph.mark()
    // Other replicas may have published other children.
    if (children !== undefined && graph.recordManifest(digest, children)) this.#published.delete(digest)
    const facts = tag === undefined ? [] : this.#recordTag(tag, digest)
    const earlier = this.#publishing.get(digest)
    const own = this.#publish(digest, facts, mark)
    const publishing = Promise.all([earlier, own])
    const digests = [digest, ...(graph.childrenOf(digest)?.manifests ?? [])]
    for (const one of digests) this.#publishing.set(one, publishing)
    await publishing
    for (const one of digests) if (this.#publishing.get(one) === publishing) this.#publishing.delete(one)
  }

  /** @param mark of the graph: other requests may record an image whose facts take seconds */
  async #publish(digest: Digest, facts: readonly Fact[], mark: number): Promise<void> {
    await this.#options.graph.settled(mark)
    const all = [...facts, ...this.#unpublished(digest)]
    if (all.length > 0) await this.#options.publish(all)
  }

  /** Applies facts of another replica. */
  apply(facts: readonly Fact[]): void {
    const { graph, locate } = this.#options
    for (const fact of facts)
      if (fact.kind === 'names') {
        graph.recordManifest(fact.manifest, fact, false)
        this.#markPublished(fact.manifest, fact.isRestricted)
      } else {
        const location = locate(fact.tag)
        const now = this.#now()
        // A replica whose clock is ahead must not extend the life of a fact.
        const seenAt = Math.min(fact.seenAt, now)
        graph.recordTag(location, fact.digest, seenAt)
        this.#store({ ...fact, seenAt }, isRestricted(location), now)
      }
  }

  /** The newest digest of each restricted tag. */
  get restrictedTags(): ReadonlyMap<QciTag, SeenTag> {
    return this.#newest
  }

  /** Drops restricted tags that upstream must have pruned by now. The digests that they reached stay closed. */
  sweep(): void {
    const oldest = this.#now() - restrictedLifeMs
    for (const [key, { seenAt }] of this.#restricted) if (seenAt < oldest) this.#restricted.delete(key)
    for (const [tag, { seenAt }] of this.#newest) if (seenAt < oldest) this.#newest.delete(tag)
  }

  /** The snapshot lacks names of restricted manifests, so that it does not close everything that restricted tags reach. */
  get hasForgotten(): boolean {
    return this.#options.graph.hasForgottenNames
  }

  /** All facts, restricted ones first. */
  snapshot(): Generator<Fact> {
    return snapshotOf({
      restricted: this.#restricted,
      open: this.#open,
      published: this.#published,
      childrenOf: (digest) => this.#options.graph.childrenOf(digest),
      now: this.#now(),
    })
  }

  #recordTag(tag: QciTag, digest: Digest): readonly Fact[] {
    const now = this.#now()
    const location = this.#options.locate(tag)
    const closes = isRestricted(location)
    const before = (closes ? this.#restricted : this.#open).get(`${tag} ${digest}`)
    if (before !== undefined && now - before.seenAt < recordAgainMs) return []
    this.#options.graph.recordTag(location, digest, now)
    const isDue = before === undefined || now - before.publishedAt >= publishAgainMs
    const fact = { kind: 'tag', tag, digest, seenAt: now, isRestricted: closes } as const
    this.#store(fact, closes, isDue ? now : before.publishedAt)
    return isDue ? [fact] : []
  }

  #store({ tag, digest, seenAt }: SeenTag & { tag: QciTag }, closes: boolean, publishedAt: number): void {
    const key = `${tag} ${digest}`
    const facts = closes ? this.#restricted : this.#open
    // A fact of another replica may be older than ours.
    const stored = { digest, seenAt: Math.max(seenAt, facts.get(key)?.seenAt ?? seenAt), publishedAt }
    facts.set(key, stored)
    if (closes && (this.#newest.get(tag)?.seenAt ?? -Infinity) <= stored.seenAt) this.#newest.set(tag, stored)
  }

  /** The children of a manifest and of the manifests in it, unless they were published, and as restricted if they are. */
  #unpublished(digest: Digest): readonly Fact[] {
    const { graph } = this.#options
    const { manifests = [] } = graph.childrenOf(digest) ?? {}
    return [digest, ...manifests].flatMap((manifest): readonly Fact[] => {
      const names = graph.childrenOf(manifest)
      if (names === undefined) return []
      const closes = graph.reachOf(manifest).isRestricted
      const before = this.#published.get(manifest)
      const isRecent = before !== undefined && this.#now() - before.at < publishAgainMs
      if (isRecent && (before.isRestricted || !closes)) return []
      this.#markPublished(manifest, closes)
      return [{ kind: 'names', manifest, ...names, isRestricted: closes }]
    })
  }

  #markPublished(manifest: Digest, closes: boolean): void {
    const before = this.#published.get(manifest)
    this.#published.set(manifest, {
      isRestricted: closes || before?.isRestricted === true,
      at: this.#now(),
    })
  }
}
