/**
 * One round of the restricted index: follows new tags of restricted namespaces down to layers.
 *
 * QCI has more than a million tags, so a round does not read all of them. It finds live tags by jumps. It reads dated copies once from their
 * beginning, and then from the last one that it saw: a tag that is overwritten leaves a dated copy, so these also show which live tags to
 * resolve again. Tags that are attached to digests have no date, and are scanned every few hours.
 */
import type { Digest, QciTag } from '../../oci/reference.ts'
import type { Facts } from '../facts.ts'
import type { Location } from '../sightings.ts'
import type { IndexState } from './index-state.ts'
import { TagFollower, type TagFollowerOptions } from './tag-follower.ts'
import { copiedTagOf, datedBegin, hourLength, hourOf, isDated } from '../../oci/tag-order.ts'
import { scanDated, scanLive, scanPrefix, type TagPage } from './tag-scan.ts'

export interface WalkOptions extends TagFollowerOptions {
  /** Fetches a page of the tag list with a low priority. */
  readonly fetchPage: (after: string | undefined, signal: AbortSignal) => Promise<TagPage>
  readonly isRestrictedDigest: (digest: Digest) => boolean
  readonly locate: (tag: QciTag) => Location
  readonly facts: Pick<Facts, 'restrictedTags' | 'sweep'>
  /** Called at the start of each part of the round, and every few pages. */
  readonly onProgress: (phase: IndexPhase) => void
}

export type IndexPhase = 'live' | 'dated' | 'attached' | 'idle'

const hourMs = 3600_000
/** How often the list is scanned for new restricted namespaces, which costs a page for each namespace. */
const discoverEveryMs = hourMs
/** The same if every page has to be read. */
const readWholeEveryMs = 24 * hourMs
const attachedEveryMs = 6 * hourMs
/** How often live tags are scanned while dated copies, or the whole list, are read. */
const refreshEveryMs = 5 * 60_000
/** Dated copies are read from so long before the last one that was seen, because the clocks of their writers differ. */
const overlapMs = hourMs
/** Pages between two notes of the progress. */
const pagesPerNote = 20

export class RestrictedWalk {
  readonly #options: WalkOptions
  /** Stores the progress of the walk. */
  readonly #note: (change: Partial<IndexState>) => Promise<void>
  readonly #follower: TagFollower
  #isTextOrder = false
  #discoveredAt = -Infinity
  #liveReadAt = -Infinity
  #attachedAt = -Infinity
  #pages = 0

  constructor(options: WalkOptions, note: (change: Partial<IndexState>) => Promise<void>) {
    this.#options = options
    this.#note = note
    this.#follower = new TagFollower(options)
  }

  /** Pages that were read and tags that were followed since the start of the process. */
  counts(): { readonly pages: number; readonly followed: number } {
    return { pages: this.#pages, followed: this.#follower.followed }
  }

  async round(state: IndexState): Promise<void> {
    const { now, onProgress, facts } = this.#options
    onProgress('live')
    const every = this.#isTextOrder ? readWholeEveryMs : discoverEveryMs
    const isDue = state.liveCompleteAt === undefined || now() - this.#discoveredAt >= every
    const live = isDue ? await this.#discover(state) : await this.#refresh(state)
    onProgress('dated')
    await this.#follower.followUnread()
    await this.#readDated(live)
    if (now() - this.#attachedAt >= attachedEveryMs) {
      onProgress('attached')
      await this.#readAttached(live)
    }
    facts.sweep()
    onProgress('idle')
  }

  /** Resolves these tags now, because an ImageStream claims that they have changed. */
  async follow(tags: Iterable<QciTag>): Promise<void> {
    await this.#follower.follow(tags)
  }

  /** Finds all restricted namespaces, and follows their tags. @returns the new state */
  async #discover(state: IndexState): Promise<IndexState> {
    const { now } = this.#options
    const startedAt = now()
    const namespaces = new Set(state.namespaces)
    const pages = scanLive({
      fetchPage: this.#fetchPage,
      // Dated copies are read later, and their neighbours belong to other namespaces.
      matters: (tag) => !isDated(tag) && this.#namespaceOf(tag) !== undefined,
      isTextOrder: this.#isTextOrder,
      onTextOrder: () => {
        this.#isTextOrder = true
      },
    })
    await this.#follower.followUnknown(this.#restrictedOf(this.#keepingLive(pages, state), namespaces))
    this.#discoveredAt = startedAt
    // If every page was read, the dated copies were read as well.
    const dated = this.#isTextOrder ? this.#datedUpTo(startedAt) : {}
    return await this.#noteLive(state, { namespaces: [...namespaces], ...dated })
  }

  /** Follows new tags of the known restricted namespaces, and some old ones. */
  async #refresh(state: IndexState): Promise<IndexState> {
    for (const namespace of state.namespaces)
      for (const prefix of [`${namespace}_`, `art__${namespace}_`])
        await this.#follower.followUnknown(this.#restrictedOf(this.#scanPrefix(prefix)))
    await this.#follower.recheck()
    return await this.#noteLive(state, {})
  }

  async #noteLive(state: IndexState, found: Partial<IndexState>): Promise<IndexState> {
    this.#liveReadAt = this.#options.now()
    const change = { liveCompleteAt: this.#liveReadAt, hasUnread: this.#follower.hasUnread, ...found }
    await this.#note(change)
    return { ...state, ...change }
  }

  /** Passes pages on. The whole list may take an hour to read, so this follows new live tags in between. */
  async *#keepingLive(
    pages: AsyncIterable<readonly string[]>,
    state: IndexState,
  ): AsyncGenerator<readonly string[]> {
    const { now } = this.#options
    for await (const tags of pages) {
      yield tags
      const isDue = now() - this.#liveReadAt >= refreshEveryMs
      if (state.liveCompleteAt !== undefined && isDue) await this.#refresh(state)
    }
  }

  async #readDated(state: IndexState): Promise<void> {
    const startedAt = this.#options.now()
    const { datedSeenUpTo, datedCompleteAt } = state
    const overwritten = new Set<QciTag>()
    const namespaces = new Set(state.namespaces)
    const pages = scanDated(this.#fetchPage, datedSeenUpTo === '' ? datedBegin : datedSeenUpTo)
    const noted = this.#noting(this.#keepingLive(pages, state), (tags) => {
      for (const tag of tags) {
        const copied = copiedTagOf(tag) ?? ''
        if (datedCompleteAt !== undefined && this.#namespaceOf(copied) !== undefined)
          overwritten.add(copied as QciTag)
      }
    })
    await this.#follower.followUnknown(this.#restrictedOf(noted, namespaces))
    await this.follow(overwritten)
    await this.#note({ ...this.#datedUpTo(startedAt), namespaces: [...namespaces] })
  }

  /** Passes pages on, and notes the progress, so that another replica can continue from there. */
  async *#noting(
    pages: AsyncIterable<readonly string[]>,
    onPage: (tags: readonly string[]) => void,
  ): AsyncGenerator<readonly string[]> {
    let read = 0
    for await (const tags of pages) {
      yield tags
      onPage(tags)
      if (++read % pagesPerNote !== 0) continue
      this.#options.onProgress('dated')
      const seen = tags.findLast(isDated)?.slice(0, hourLength) ?? ''
      // Attack: a copy with a date in the future would hide all copies before that date.
      if (seen !== '' && seen < hourOf(this.#options.now())) await this.#note({ datedSeenUpTo: seen })
    }
  }

  async #readAttached(state: IndexState): Promise<void> {
    const startedAt = this.#options.now()
    await this.#follower.followEach(this.#attachedOf(this.#keepingLive(this.#scanPrefix('sha256-'), state)))
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

  /** The restricted namespace of a tag, if it belongs to one. */
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

  #datedUpTo(startedAt: number): Partial<IndexState> {
    const { hasUnread } = this.#follower
    return { datedCompleteAt: startedAt, datedSeenUpTo: hourOf(startedAt - overlapMs), hasUnread }
  }

  #scanPrefix(prefix: string): AsyncGenerator<readonly string[]> {
    return scanPrefix(this.#fetchPage, prefix, this.#discoveredAt !== -Infinity && !this.#isTextOrder)
  }
}
