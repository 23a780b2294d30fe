/**
 * Chooses the restricted tags to resolve at upstream: tags that are not known down to their layers, and from time to time all others.
 */
import { createBoundedCache, type BoundedCache } from '../../concurrency/bounded-cache.ts'
import { isDigest, type Digest, type QciTag } from '../../oci/reference.ts'
import type { Facts, SeenTag } from '../facts.ts'
import { followTags, maxDepth, type FollowTagsOptions } from './follow-tags.ts'
import { copiedTagOf } from '../../oci/tag-order.ts'

export interface TagFollowerOptions {
  /** Fetches a manifest with a low priority, and records its facts. Undefined if upstream has none. */
  readonly fetchManifest: (reference: QciTag | Digest, signal: AbortSignal) => Promise<Digest | undefined>
  readonly manifestsOf: FollowTagsOptions['manifestsOf']
  readonly facts: Pick<Facts, 'restrictedTags'>
  readonly onFailure: (what: string, error: unknown) => void
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds before a failure is retried: a second unless given. */
  readonly tagRetryMs?: number
  /** See `FollowTagsOptions.deadlineMs`. */
  readonly tagDeadlineMs?: number
}

const hourMs = 3600_000
/** Live tags that were not seen for so long are resolved again, up to `maxRechecked` in one round. */
const recheckAfterMs = hourMs
const maxRechecked = 500
/** References that could not be read, and that one round tries again. */
const maxRetried = 32
/** Other tags that are tried to find out whether upstream answers. */
const maxProbes = 3
/** Listed tags that are cached for that. */
const maxListed = 32
/** How long a manifest that upstream does not have is not fetched again. */
const absentMs = 24 * hourMs
const maxChecked = 200_000
const maxAbsent = 100_000

export class TagFollower {
  readonly #options: TagFollowerOptions
  /** When tags were resolved again, in milliseconds since the epoch. */
  readonly #checkedAt = createBoundedCache<QciTag, number>(maxChecked)
  readonly #absent: BoundedCache<Digest, true>
  /** Tags, and manifests below them, that upstream has and could not be read so far. */
  readonly #unread = new Set<QciTag | Digest>()
  /** References whose last try has failed. */
  readonly #failing = new Set<QciTag | Digest>()
  /** Tags that upstream lists, one of each page, the latest last. */
  #listed: readonly QciTag[] = []
  #followed = 0

  constructor(options: TagFollowerOptions) {
    this.#options = options
    this.#absent = createBoundedCache(maxAbsent, { ttlMs: absentMs, now: options.now })
  }

  /** Tags that were followed since the start of the process. */
  get followed(): number {
    return this.#followed
  }

  /** Whether a restricted tag could not be read, so that what it names is not known. */
  get hasUnread(): boolean {
    return this.#unread.size > 0
  }

  /** Takes a tag that this index does not follow, to find out whether upstream answers. */
  noteListed(tag: QciTag): void {
    this.#listed = [...this.#listed, tag].slice(-maxListed)
  }

  /** Tries some of what could not be read again, once, and the others in the next rounds. What upstream does not have any more is over. */
  async followUnread(): Promise<void> {
    await this.#follow(iterate([...this.#unread].slice(0, maxRetried)), true)
  }

  async follow(tags: Iterable<QciTag>): Promise<void> {
    await this.#follow(iterate(tags), false)
  }

  /** Except for tags that could not be read: `followUnread` tries them again. */
  async followEach(tags: Iterable<QciTag> | AsyncIterable<QciTag>): Promise<void> {
    await this.#follow(this.#withoutUnread(tags), false)
  }

  async #follow(tags: AsyncIterable<QciTag | Digest>, isTriedOnce: boolean): Promise<void> {
    const { manifestsOf, onFailure, signal, tagRetryMs, tagDeadlineMs } = this.#options
    await followTags(tags, {
      fetch: this.#fetch,
      manifestsOf,
      signal,
      onFailure: (reference, error) => {
        this.#failing.add(reference)
        onFailure(reference, error)
      },
      retryMs: tagRetryMs,
      deadlineMs: tagDeadlineMs,
      isTriedOnce,
      isAnswering: this.#isAnswering,
      onUnread: (reference) => {
        this.#failing.delete(reference)
        // The last one to be tried again.
        this.#unread.delete(reference)
        this.#unread.add(reference)
      },
      onFollowed: () => {
        this.#followed += 1
      },
    })
  }

  /** Skips tags that are known down to their layers: if such a tag has moved since, its dated copy shows that. */
  async followUnknown(tags: AsyncIterable<QciTag>): Promise<void> {
    await this.followEach(this.#unknownOf(tags))
  }

  /** Resolves the live tags that were resolved longest ago. */
  async recheck(): Promise<void> {
    const { facts, now } = this.#options
    const time = now()
    // A tag that upstream does not have any more is not seen again: it must not take the turn of others.
    const resolvedAt = ([tag, { seenAt }]: readonly [QciTag, SeenTag]) =>
      Math.max(seenAt, this.#checkedAt.get(tag) ?? 0)
    const outdated = [...facts.restrictedTags]
      .filter((entry) => copiedTagOf(entry[0]) === undefined && time - resolvedAt(entry) >= recheckAfterMs)
      .toSorted((one, other) => resolvedAt(one) - resolvedAt(other))
      .slice(0, maxRechecked)
      .map(([tag]) => tag)
    await this.followEach(outdated)
    for (const tag of outdated) this.#checkedAt.set(tag, time)
  }

  /** Attack: HEAD for a restricted tag, or a pull of an index alone, records a fact without the manifests below. */
  async *#unknownOf(tags: AsyncIterable<QciTag>): AsyncGenerator<QciTag> {
    for await (const tag of tags) {
      const seen = this.#options.facts.restrictedTags.get(tag)
      if (seen === undefined || !this.#isFollowed(seen.digest, maxDepth)) yield tag
    }
  }

  async *#withoutUnread(tags: Iterable<QciTag> | AsyncIterable<QciTag>): AsyncGenerator<QciTag> {
    for await (const tag of tags) if (!this.#unread.has(tag)) yield tag
  }

  #isFollowed(digest: Digest, depth: number): boolean {
    const manifests = this.#options.manifestsOf(digest)
    // `followUnread` tries unread ones again.
    if (manifests === undefined) return this.#absent.has(digest) || this.#unread.has(digest)
    return depth === 0 || manifests.every((child) => this.#isFollowed(child, depth - 1))
  }

  /**
   * By tags that could be read before, or that upstream lists. Undefined without any of them: then no tag is skipped. Attack: the tag that is broken now is
   * also the newest one that could be read before; so others are chosen by chance.
   */
  readonly #isAnswering = async (): Promise<boolean | undefined> => {
    const { facts, fetchManifest, signal } = this.#options
    const others = [...facts.restrictedTags.keys(), ...this.#listed].filter(
      (tag) => !this.#unread.has(tag) && !this.#failing.has(tag),
    )
    if (others.length === 0) return undefined
    const first = Math.floor(Math.random() * others.length)
    for (const tag of [...others.slice(first), ...others].slice(0, maxProbes))
      try {
        await fetchManifest(tag, signal)
        return true
      } catch {
        // The next one may be answered.
      }
    return false
  }

  readonly #fetch = async (reference: QciTag | Digest): Promise<Digest | undefined> => {
    const { fetchManifest, manifestsOf, signal } = this.#options
    const digest = await fetchManifest(reference, signal)
    // It is there, and closes nothing by name: see unreadable-manifest.ts.
    if (digest !== undefined && manifestsOf(digest) === undefined)
      throw new Error(`the digests in ${digest} are not known`)
    this.#unread.delete(reference)
    this.#failing.delete(reference)
    if (digest === undefined && isDigest(reference)) this.#absent.set(reference, true)
    return digest
  }
}

async function* iterate<Value>(values: Iterable<Value>): AsyncGenerator<Value> {
  yield* values
}
