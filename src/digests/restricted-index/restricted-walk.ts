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
import type { IndexState } from './index-state.ts'
import { TagFollower, type TagFollowerOptions } from './tag-follower.ts'
import { copiedTagOf, datedBegin, hourLength, hourOf, isDated } from '../../oci/tag-order.ts'
import { scanDated, scanLive, scanPrefix, type TagPage } from './tag-scan.ts'

export interface WalkOptions extends TagFollowerOptions {
  /** A page of upstream's tags, behind what people wait for. */
  readonly fetchPage: (after: string | undefined, signal: AbortSignal) => Promise<TagPage>
  readonly isRestrictedDigest: (digest: Digest) => boolean
  readonly locate: (tag: QciTag) => Location
  readonly facts: Pick<Facts, 'restrictedTags' | 'sweep'>
  /** Told when a part of the round begins, and every few pages. */
  readonly onProgress: (phase: IndexPhase) => void
}

export type IndexPhase = 'live' | 'dated' | 'attached' | 'idle'

const hourMs = 3600_000
/** How often the list is looked through for restricted namespaces that are new: a page for each namespace. */
const discoverEveryMs = hourMs
/** The same where every page has to be read. */
const readWholeEveryMs = 24 * hourMs
const attachedEveryMs = 6 * hourMs
/** How often live tags are looked at while dated copies, or the whole list, are read. */
const refreshEveryMs = 5 * 60_000
/** Dated copies are read again from so long before the last one that was seen: the clocks of their writers differ. */
const overlapMs = hourMs
/** Pages between two notes of how far the walk is. */
const pagesPerNote = 20

export class RestrictedWalk {
  readonly #options: WalkOptions
  /** Notes how far the walk is. */
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

  /** Pages that were read, and tags that were followed, since the start of the process. */
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
    await this.#readDated(live)
    if (now() - this.#attachedAt >= attachedEveryMs) {
      onProgress('attached')
      await this.#readAttached(live)
    }
    facts.sweep()
    onProgress('idle')
  }

  /** Resolves tags now: those that somebody says have changed. */
  async follow(tags: Iterable<QciTag>): Promise<void> {
    await this.#follower.follow(tags)
  }

  /** Every restricted namespace there is, and its tags. @returns the state with what it says of dated copies */
  async #discover(state: IndexState): Promise<IndexState> {
    const { now } = this.#options
    const startedAt = now()
    const namespaces = new Set(state.namespaces)
    const pages = scanLive({
      fetchPage: this.#fetchPage,
      // Dated copies are read after that, and their neighbours are of other namespaces.
      matters: (tag) => !isDated(tag) && this.#namespaceOf(tag) !== undefined,
      isTextOrder: this.#isTextOrder,
      onTextOrder: () => {
        this.#isTextOrder = true
      },
    })
    await this.#follower.followUnknown(this.#restrictedOf(this.#keepingLive(pages, state), namespaces))
    this.#discoveredAt = startedAt
    // Where every page was read, so were the dated copies.
    const dated = this.#isTextOrder ? datedUpTo(startedAt) : {}
    return await this.#noteLive(state, { namespaces: [...namespaces], ...dated })
  }

  /** What is new in the restricted namespaces that are known, and some of the old. */
  async #refresh(state: IndexState): Promise<IndexState> {
    for (const namespace of state.namespaces)
      for (const prefix of [`${namespace}_`, `art__${namespace}_`])
        await this.#follower.followUnknown(this.#restrictedOf(this.#scanPrefix(prefix)))
    await this.#follower.recheck()
    return await this.#noteLive(state, {})
  }

  async #noteLive(state: IndexState, found: Partial<IndexState>): Promise<IndexState> {
    this.#liveReadAt = this.#options.now()
    const change = { liveCompleteAt: this.#liveReadAt, ...found }
    await this.#note(change)
    return { ...state, ...change }
  }

  /** The same pages. To read all of a list takes hours: what is new among live tags is not left to wait for that. */
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
    await this.#note({ ...datedUpTo(startedAt), namespaces: [...namespaces] })
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
      if (++read % pagesPerNote !== 0) continue
      this.#options.onProgress('dated')
      const seen = tags.findLast(isDated)?.slice(0, hourLength) ?? ''
      // Attack: a copy that claims to be of a time to come would hide all that come after it.
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

  #scanPrefix(prefix: string): AsyncGenerator<readonly string[]> {
    return scanPrefix(this.#fetchPage, prefix, this.#discoveredAt !== -Infinity && !this.#isTextOrder)
  }
}

const datedUpTo = (startedAt: number): Partial<IndexState> => ({
  datedCompleteAt: startedAt,
  datedSeenUpTo: hourOf(startedAt - overlapMs),
})
