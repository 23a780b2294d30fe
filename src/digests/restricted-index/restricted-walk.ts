/**
 * One round of the restricted index: what is new among upstream's tags of restricted namespaces, followed down to layers.
 *
 * QCI has a million tags and more, so a round does not read all of them. Live tags are found by jumps. Dated copies are read once from
 * their beginning, and then from the last one that was seen: a tag that is overwritten leaves one behind, so they also tell which live
 * tags to resolve again. What is attached to digests has no time in its tag, and is looked through now and then.
 */
import type { Digest, QciTag } from '../../reference.ts'
import type { Facts } from '../facts.ts'
import type { Location } from '../sightings.ts'
import { followTags, type FollowTagsOptions } from './follow-tags.ts'
import type { IndexState } from './index-state.ts'
import { copiedTagOf, datedBegin, hourOf } from './tag-order.ts'
import { scanDated, scanLive, scanPrefix, type TagPage } from './tag-scan.ts'

export interface WalkOptions {
  /** A page of upstream's tags, behind what people wait for. */
  readonly fetchPage: (after: string | undefined, signal: AbortSignal) => Promise<TagPage>
  /** A manifest of upstream, behind what people wait for; its facts are made. Undefined where upstream has none. */
  readonly fetchManifest: (reference: QciTag | Digest, signal: AbortSignal) => Promise<Digest | undefined>
  readonly manifestsOf: FollowTagsOptions['manifestsOf']
  readonly isRestrictedDigest: (digest: Digest) => boolean
  readonly locate: (tag: QciTag) => Location
  readonly facts: Pick<Facts, 'restrictedTags' | 'sweep'>
  /** Told when a part of the round begins, and every few pages. */
  readonly onProgress: (phase: IndexPhase) => void
  readonly onFailure: (what: string, error: unknown) => void
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export type IndexPhase = 'live' | 'dated' | 'attached' | 'idle'

const hourMs = 3600_000
/** How often the list is looked through for restricted namespaces that are new: a page for each namespace. */
const discoverEveryMs = hourMs
/** The same where every page has to be read. */
const readWholeEveryMs = 24 * hourMs
const attachedEveryMs = 6 * hourMs
/** Live tags that nobody has seen for so long are resolved again, so many in one round at most. */
const recheckAfterMs = hourMs
const maxRechecked = 500
/** Dated copies are read again from so long before the last one that was seen: the clocks of their writers differ. */
const overlapMs = hourMs
/** Pages between two notes of how far the walk is. */
const pagesPerNote = 20

export class RestrictedWalk {
  readonly #options: WalkOptions
  /** Notes how far the walk is. */
  readonly #note: (change: Partial<IndexState>) => Promise<void>
  #isTextOrder = false
  #discoveredAt = -Infinity
  #attachedAt = -Infinity
  #pages = 0
  #followed = 0

  constructor(options: WalkOptions, note: (change: Partial<IndexState>) => Promise<void>) {
    this.#options = options
    this.#note = note
  }

  /** Pages that were read, and tags that were followed, since the start of the process. */
  counts(): { readonly pages: number; readonly followed: number } {
    return { pages: this.#pages, followed: this.#followed }
  }

  async round(state: IndexState): Promise<void> {
    const { now, onProgress, facts } = this.#options
    onProgress('live')
    const every = this.#isTextOrder ? readWholeEveryMs : discoverEveryMs
    const isDue = state.liveCompleteAt === undefined || now() - this.#discoveredAt >= every
    const datedState = isDue ? await this.#discover(state) : await this.#refresh(state)
    onProgress('dated')
    await this.#readDated(datedState)
    if (now() - this.#attachedAt >= attachedEveryMs) {
      onProgress('attached')
      await this.#readAttached()
    }
    facts.sweep()
    onProgress('idle')
  }

  /** Resolves tags now: those that somebody says have changed. */
  async follow(tags: Iterable<QciTag>): Promise<void> {
    await this.#follow(iterate(tags))
  }

  /** Every restricted namespace there is, and its tags. @returns the state with what it says of dated copies */
  async #discover(state: IndexState): Promise<IndexState> {
    const { now } = this.#options
    const startedAt = now()
    const namespaces = new Set(state.namespaces)
    const pages = scanLive({
      fetchPage: this.#fetchPage,
      matters: (tag) => this.#namespaceOf(tag) !== undefined,
      isTextOrder: this.#isTextOrder,
      onTextOrder: () => {
        this.#isTextOrder = true
      },
    })
    await this.#followUnknown(this.#restrictedOf(pages, namespaces))
    this.#discoveredAt = startedAt
    // Where every page was read, so were the dated copies.
    const dated = this.#isTextOrder ? datedUpTo(startedAt) : {}
    const change = { liveCompleteAt: now(), namespaces: [...namespaces], ...dated }
    await this.#note(change)
    return { ...state, ...change }
  }

  /** What is new in the restricted namespaces that are known, and some of the old. */
  async #refresh(state: IndexState): Promise<IndexState> {
    const { facts, now } = this.#options
    for (const namespace of state.namespaces)
      for (const prefix of [`${namespace}_`, `art__${namespace}_`])
        await this.#followUnknown(this.#restrictedOf(scanPrefix(this.#fetchPage, prefix)))
    const outdated = [...facts.restrictedTags]
      .filter(([tag, { seenAt }]) => copiedTagOf(tag) === undefined && now() - seenAt >= recheckAfterMs)
      .toSorted(([, one], [, other]) => one.seenAt - other.seenAt)
      .slice(0, maxRechecked)
    await this.follow(outdated.map(([tag]) => tag))
    await this.#note({ liveCompleteAt: now() })
    return state
  }

  async #readDated({ datedSeenUpTo, datedCompleteAt }: IndexState): Promise<void> {
    const startedAt = this.#options.now()
    const overwritten = new Set<string>()
    const pages = scanDated(this.#fetchPage, datedSeenUpTo === '' ? datedBegin : datedSeenUpTo)
    const noted = this.#noting(pages, (tags) => {
      if (datedCompleteAt !== undefined) for (const tag of tags) overwritten.add(copiedTagOf(tag) ?? '')
    })
    await this.#followUnknown(this.#restrictedOf(noted))
    await this.follow([...overwritten].filter((tag): tag is QciTag => this.#namespaceOf(tag) !== undefined))
    await this.#note(datedUpTo(startedAt))
  }

  /** The same pages; how far they are is noted, so that another replica goes on from there. */
  async *#noting(
    pages: AsyncIterable<readonly string[]>,
    onPage: (tags: readonly string[]) => void,
  ): AsyncGenerator<readonly string[]> {
    let read = 0
    for await (const tags of pages) {
      yield tags
      onPage(tags)
      const seen = (tags.at(-1) ?? '').slice(0, 10)
      // Attack: a copy that claims to be of a time to come would hide all that come after it.
      if (++read % pagesPerNote === 0 && seen !== '' && seen < hourOf(this.#options.now()))
        await this.#note({ datedSeenUpTo: seen })
    }
  }

  async #readAttached(): Promise<void> {
    const startedAt = this.#options.now()
    await this.#follow(this.#attachedOf(scanPrefix(this.#fetchPage, 'sha256-')))
    this.#attachedAt = startedAt
  }

  async *#attachedOf(pages: AsyncIterable<readonly string[]>): AsyncGenerator<QciTag> {
    const { locate, isRestrictedDigest } = this.#options
    for await (const tags of pages)
      for (const tag of tags as readonly QciTag[]) {
        const location = locate(tag)
        if (location.by === 'digest' && isRestrictedDigest(location.digest)) yield tag
      }
  }

  async *#restrictedOf(
    pages: AsyncIterable<readonly string[]>,
    namespaces = new Set<string>(),
  ): AsyncGenerator<QciTag> {
    for await (const tags of pages)
      for (const tag of tags) {
        const namespace = this.#namespaceOf(tag)
        if (namespace === undefined) continue
        namespaces.add(namespace)
        yield tag as QciTag
      }
  }

  /** The restricted namespace that a tag belongs to, if it belongs to one. */
  #namespaceOf(tag: string): string | undefined {
    if (tag === '') return undefined
    const location = this.#options.locate(tag as QciTag)
    return location.by === 'image-stream' && location.isRestricted
      ? location.imageStream.namespace
      : undefined
  }

  readonly #fetchPage = async (after: string | undefined): Promise<TagPage> => {
    const page = await this.#options.fetchPage(after, this.#options.signal)
    this.#pages += 1
    return page
  }

  /** A tag whose fact is known need not be asked for: what has moved since is told by its dated copy. */
  async #followUnknown(tags: AsyncIterable<QciTag>): Promise<void> {
    await this.#follow(unlessKnown(tags, this.#options.facts))
  }

  async #follow(tags: AsyncIterable<QciTag>): Promise<void> {
    const { fetchManifest, manifestsOf, onFailure, signal } = this.#options
    await followTags(tags, {
      fetch: async (reference) => await fetchManifest(reference, signal),
      manifestsOf,
      signal,
      onFailure,
      onFollowed: () => {
        this.#followed += 1
      },
    })
  }
}

const datedUpTo = (startedAt: number): Partial<IndexState> => ({
  datedCompleteAt: startedAt,
  datedSeenUpTo: hourOf(startedAt - overlapMs),
})

async function* iterate<Value>(values: Iterable<Value>): AsyncGenerator<Value> {
  yield* values
}

async function* unlessKnown(
  tags: AsyncIterable<QciTag>,
  { restrictedTags }: Pick<Facts, 'restrictedTags'>,
): AsyncGenerator<QciTag> {
  for await (const tag of tags) if (!restrictedTags.has(tag)) yield tag
}
