/**
 * One round of the restricted index: follows new tags of restricted namespaces down to layers.
 *
 * QCI has more than a million tags, so a round does not read all of them. It finds live tags by jumps. It reads dated copies once from their
 * beginning, and then from the last one that it saw: a tag that is overwritten leaves a dated copy, so these also show which live tags to
 * resolve again. Tags that are attached to digests have no date, and are scanned every few hours.
 */
import { isQciTag, type QciTag } from '../../oci/reference.ts'
import type { Facts } from '../facts.ts'
import type { IndexState } from './index-state.ts'
import { RestrictedTags, type RestrictedTagsOptions } from './restricted-tags.ts'
import { TagFollower, type TagFollowerOptions } from './tag-follower.ts'
import { copiedTagOf, datedBegin, hourLength, hourOf, isDated } from '../../oci/tag-order.ts'
import { scanDated, scanLive, scanPrefix, type TagPage } from './tag-scan.ts'

export interface WalkOptions extends TagFollowerOptions, RestrictedTagsOptions {
  /** Fetches a page of the tag list with a low priority. */
  readonly fetchPage: (after: string | undefined, signal: AbortSignal) => Promise<TagPage>
  readonly facts: Pick<Facts, 'restrictedTags' | 'sweep' | 'hasForgotten'>
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
  readonly #tags: RestrictedTags
  /**
   * Another leader, or an earlier process, could not read some references. This walk does not know which, so it begins again, and the
   * index has unread references until it has tried every tag itself.
   */
  #hasInheritedUnread = false
  #isTextOrder = false
  #discoveredAt = -Infinity
  #liveReadAt = -Infinity
  #attachedAt = -Infinity
  #pages = 0

  constructor(options: WalkOptions, note: (change: Partial<IndexState>) => Promise<void>) {
    this.#options = options
    this.#note = note
    this.#follower = new TagFollower(options)
    this.#tags = new RestrictedTags(options)
  }

  /** Pages that were read and tags that were followed since the start of the process. */
  counts(): { readonly pages: number; readonly followed: number } {
    return { pages: this.#pages, followed: this.#follower.followed }
  }

  async round(state: IndexState): Promise<void> {
    const { now, onProgress, facts } = this.#options
    const isOwn = state.liveCompleteAt === this.#liveReadAt
    if (state.hasUnread === true && !isOwn && !this.#hasInheritedUnread) {
      this.#hasInheritedUnread = true
      this.#discoveredAt = this.#attachedAt = -Infinity
    }
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
    if (this.#hasInheritedUnread) {
      this.#hasInheritedUnread = false
      await this.#note({ hasUnread: this.#hasUnread })
    }
    facts.sweep()
    onProgress('idle')
  }

  /** Resolves these tags now, because an ImageStream claims that they have changed. */
  async follow(tags: Iterable<QciTag>): Promise<void> {
    await this.#follower.follow(tags)
    if (this.#hasUnread) await this.#note({ hasUnread: true })
  }

  /** Finds all restricted namespaces, and follows their tags. @returns the new state */
  async #discover(state: IndexState): Promise<IndexState> {
    const { now } = this.#options
    const startedAt = now()
    const namespaces = new Set(state.namespaces)
    const pages = scanLive({
      fetchPage: this.#fetchPage,
      // Dated copies are read later, and their neighbours belong to other namespaces.
      matters: (tag) => !isDated(tag) && this.#tags.namespaceOf(tag) !== undefined,
      isTextOrder: this.#isTextOrder,
      onTextOrder: () => {
        this.#isTextOrder = true
      },
    })
    await this.#follower.followUnknown(this.#tags.ownedOf(this.#keepingLive(pages, state), namespaces))
    this.#discoveredAt = startedAt
    // If every page was read, the dated copies were read as well.
    const dated = this.#isTextOrder ? this.#datedUpTo(startedAt) : {}
    return await this.#noteLive(state, { namespaces: [...namespaces], ...dated })
  }

  /** Follows new tags of the known restricted namespaces, and some old ones. */
  async #refresh(state: IndexState): Promise<IndexState> {
    for (const namespace of state.namespaces)
      for (const prefix of [`${namespace}_`, `art__${namespace}_`])
        await this.#follower.followUnknown(this.#tags.ownedOf(this.#scanPrefix(prefix)))
    await this.#follower.recheck()
    return await this.#noteLive(state, {})
  }

  async #noteLive(state: IndexState, found: Partial<IndexState>): Promise<IndexState> {
    this.#liveReadAt = this.#options.now()
    const change = { liveCompleteAt: this.#liveReadAt, hasUnread: this.#hasUnread, ...found }
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
    const { datedCompleteAt } = state
    const datedSeenUpTo = this.#hasInheritedUnread ? '' : state.datedSeenUpTo
    const overwritten = new Set<QciTag>()
    const namespaces = new Set(state.namespaces)
    const pages = scanDated(this.#fetchPage, datedSeenUpTo === '' ? datedBegin : datedSeenUpTo)
    const noted = this.#noting(this.#keepingLive(pages, state), (tags) => {
      for (const tag of tags) {
        const copied = tag < state.datedSeenUpTo ? '' : (copiedTagOf(tag) ?? '')
        if (datedCompleteAt !== undefined && this.#tags.namespaceOf(copied) !== undefined)
          overwritten.add(copied as QciTag)
      }
    })
    await this.#follower.followUnknown(this.#tags.ownedOf(noted, namespaces))
    await this.#follower.followEach(overwritten)
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
    await this.#follower.followEach(
      this.#tags.attachedOf(this.#keepingLive(this.#scanPrefix('sha256-'), state)),
    )
    this.#attachedAt = startedAt
  }

  readonly #fetchPage = async (after: string | undefined): Promise<TagPage> => {
    const page = await this.#options.fetchPage(after, this.#options.signal)
    this.#pages += 1
    const other = page.tags.findLast((tag) => isQciTag(tag) && this.#tags.namespaceOf(tag) === undefined)
    if (other !== undefined) this.#follower.noteListed(other as QciTag)
    return page
  }

  get #hasUnread(): boolean {
    return this.#hasInheritedUnread || this.#follower.hasUnread
  }

  #datedUpTo(startedAt: number): Partial<IndexState> {
    return {
      datedCompleteAt: startedAt,
      datedSeenUpTo: hourOf(startedAt - overlapMs),
      hasUnread: this.#hasUnread,
    }
  }

  #scanPrefix(prefix: string): AsyncGenerator<readonly string[]> {
    return scanPrefix(this.#fetchPage, prefix, this.#discoveredAt !== -Infinity && !this.#isTextOrder)
  }
}
