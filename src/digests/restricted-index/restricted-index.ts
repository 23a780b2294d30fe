/**
 * The restricted index: all tags of restricted namespaces, followed down to layers, so that restricted digests are known before the first
 * request for them, also on a new replica. One replica walks the tags of upstream; the others get its facts and its progress. Readiness waits
 * for the live tags; dated copies come later.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { QciTag } from '../../oci/reference.ts'
import { nothingIndexed, type IndexState, type SharedIndex } from './index-state.ts'
import { RestrictedWalk, type IndexPhase, type WalkOptions } from './restricted-walk.ts'

export interface RestrictedIndexOptions extends Omit<WalkOptions, 'signal' | 'onProgress' | 'now'> {
  readonly shared: SharedIndex
  /** The patterns of restricted namespaces. */
  readonly patterns?: readonly string[]
  /** Resolves when the facts of other replicas are applied here; with false if that is not possible. */
  readonly catchUp: () => Promise<boolean>
  /** Milliseconds between two rounds. */
  readonly intervalMs: number
  readonly onProgress: (progress: IndexProgress) => void
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Milliseconds to wait after a first failure; doubled for each further one, up to the interval. */
  readonly retryMs?: number
}

export interface IndexProgress {
  readonly phase: IndexPhase
  /** Pages of the tag list that this process has read, and tags that it has followed. */
  readonly pages: number
  readonly followed: number
  /** See `RestrictedIndex`. */
  readonly hasFollowedLive: boolean
  readonly hasFollowedAll: boolean
}

/** How often a replica that does not walk checks whether the walk is complete. */
const followMs = 2000
/** A round that ended more than so many intervals ago is outdated: it does not make the index complete. */
const outdatedAfter = 3
/**
 * Milliseconds after which a complete index is incomplete again, if no round has ended: far more than a slow round takes. Attack: upstream
 * fails to list its tags, but serves manifests, so that images that were pushed since then stay open as if no tag reached them.
 */
const completeForMs = 3600_000
/** The age of a stored state up to which a replica serves with it while upstream fails: facts of open tags live as long. */
const restorableMs = 24 * 3600_000

export class RestrictedIndex {
  readonly #options: RestrictedIndexOptions
  readonly #now: () => number
  readonly #ending = new AbortController()
  readonly #walk: RestrictedWalk
  readonly #patterns: string | undefined
  #state: IndexState = nothingIndexed
  #phase: IndexPhase = 'idle'
  /** When the live tags were followed last, as far as this replica has the facts; in milliseconds since the epoch. */
  #liveCompleteAt = -Infinity
  #isRestored = false
  #running: Promise<void> | undefined

  constructor(options: RestrictedIndexOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#patterns = options.patterns?.toSorted().join(' ')
    const walkOptions = {
      ...options,
      now: this.#now,
      signal: this.#ending.signal,
      onFailure: this.#onFailure,
      onProgress: (phase: IndexPhase) => {
        this.#phase = phase
        options.onProgress(this.progress())
      },
    }
    this.#walk = new RestrictedWalk(walkOptions, async (change) => {
      this.#state = { ...this.#state, ...change }
      if (change.liveCompleteAt !== undefined) this.#noteComplete(change.liveCompleteAt)
      await options.shared.write({
        ...this.#state,
        ...(this.#patterns === undefined ? {} : { patterns: this.#patterns }),
      })
    })
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async close(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  /**
   * All live tags of restricted namespaces were followed within the last hour, here or by another replica whose facts are applied here. Then
   * no restricted tag reaches a digest that no tag is known to reach.
   */
  hasFollowedLive(): boolean {
    const age = this.#now() - this.#liveCompleteAt
    return age < Math.max(completeForMs, outdatedAfter * this.#options.intervalMs)
  }

  /** `hasFollowedLive`, now or earlier in this process. */
  hasEverFollowedLive(): boolean {
    return this.#liveCompleteAt > -Infinity
  }

  /**
   * True if upstream fails and a state of the last day is stored, as after a restart. Then digests that the stored facts open can be
   * served. Whether any other digest is restricted is unknown until the index is complete.
   */
  isRestored(): boolean {
    return this.#isRestored
  }

  /** `hasFollowedLive`, and the dated copies of restricted tags were followed as well, at any time. */
  hasFollowedAll(): boolean {
    return this.hasFollowedLive() && this.#state.datedCompleteAt !== undefined
  }

  /** A restricted tag could not be read: a layer that nobody names may be one of its layers. */
  hasUnread(): boolean {
    return this.#state.hasUnread === true
  }

  hasTagsOf(namespace: string): boolean {
    return this.#state.namespaces.includes(namespace)
  }

  progress(): IndexProgress {
    return {
      phase: this.#phase,
      ...this.#walk.counts(),
      hasFollowedLive: this.hasFollowedLive(),
      hasFollowedAll: this.hasFollowedAll(),
    }
  }

  /** One line about the progress, for people. */
  status(): string {
    const { phase, pages, followed, hasFollowedLive, hasFollowedAll } = this.progress()
    const failing = this.hasEverFollowedLive() ? 'outdated, because upstream fails' : 'not complete'
    const incomplete =
      this.#isRestored && !this.hasEverFollowedLive() ? 'of the last start, because upstream fails' : failing
    const state = hasFollowedAll ? 'all tags followed' : hasFollowedLive ? 'live tags followed' : incomplete
    const unread = this.hasUnread() ? ', some cannot be read' : ''
    return `restricted index: ${state}; phase ${phase}, ${pages} pages of tags read, ${followed} tags followed${unread}`
  }

  /** Resolves these tags now, because an ImageStream claims that they have changed. */
  async follow(tags: readonly QciTag[]): Promise<void> {
    await this.#walk.follow(tags)
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    const { intervalMs, retryMs = 5000 } = this.#options
    for (let failures = 0; !signal.aborted;) {
      let waitMs = intervalMs
      try {
        await this.#takeTurn()
        failures = 0
        if (!this.hasFollowedLive()) waitMs = Math.min(followMs, intervalMs)
      } catch (error) {
        if (signal.aborted) return
        this.#onFailure('the tag list', error)
        waitMs = Math.min(retryMs * 2 ** failures++, Math.max(intervalMs, retryMs))
      }
      await sleep(waitMs * (0.75 + Math.random() / 4), undefined, { signal }).catch(() => undefined)
    }
  }

  readonly #onFailure: WalkOptions['onFailure'] = (what, error) => {
    const { liveCompleteAt = -Infinity } = this.#state
    if (this.#now() - liveCompleteAt < restorableMs) this.#isRestored = true
    this.#options.onFailure(what, error)
  }

  /** Walks if this replica has the lease, or no others to rely on; otherwise reads the progress of the walk. */
  async #takeTurn(): Promise<void> {
    const { shared, catchUp, intervalMs, facts } = this.#options
    const leads = await shared.tryLead()
    const isInTouch = await catchUp()
    const read = isInTouch ? await shared.read() : undefined
    // Attack: a namespace that has become restricted since then, whose tags nobody has followed.
    const isForeign = read !== undefined && read.patterns !== this.#patterns
    const stored = isForeign ? undefined : read
    // The store has lost facts, and this replica cannot publish all of them again.
    if (isInTouch && read === undefined && facts.hasForgotten) this.#state = nothingIndexed
    if (stored !== undefined) {
      this.#state = stored
      const { liveCompleteAt = -Infinity } = stored
      if (this.hasEverFollowedLive() || this.#now() - liveCompleteAt < outdatedAfter * intervalMs)
        this.#noteComplete(liveCompleteAt)
    }
    if (leads || !isInTouch || isForeign) await this.#walk.round(this.#state)
  }

  #noteComplete(at: number): void {
    // The clock of another replica may be ahead.
    this.#liveCompleteAt = Math.max(this.#liveCompleteAt, Math.min(at, this.#now()))
  }
}
