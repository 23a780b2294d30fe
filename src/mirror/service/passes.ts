/**
 * Runs one pass after the other while this replica holds the lease: at once when it gets the lease or when the configuration changes,
 * otherwise at an interval.
 */
import type { Clock } from '../../concurrency/clock.ts'
import { OneAtATime } from '../../concurrency/one-at-a-time.ts'
import type { Digest } from '../../oci/digest.ts'
import type { MirrorConfig } from '../config/mirror-config.ts'
import type { Mirror } from '../mirror.ts'
import type { Desired, DesiredImage } from '../plan/desired.ts'
import type { DesiredSource } from '../plan/desired-source.ts'
import type { Finding } from '../plan/findings.ts'
import { changedFirst, withoutCollisions } from './desired-list.ts'
import { RecentComparisons } from './recent-comparisons.ts'

export interface PassesOptions {
  readonly mirror: Mirror
  readonly source: DesiredSource
  readonly config: () => MirrorConfig
  /** Milliseconds from the start of one pass to the start of the next. */
  readonly intervalMs: number
  readonly clock: Clock
  /** False: differences are logged, and nothing is copied. */
  readonly copies: boolean
  readonly observe: (event: PassEvent) => void
}

export type PassEvent =
  | { readonly what: 'desired'; readonly desired: Desired; readonly problem: string | undefined }
  | { readonly what: 'found'; readonly finding: Finding }
  /** `milliseconds`: the duration of the whole pass. */
  | { readonly what: 'passed'; readonly milliseconds: number; readonly images: number }
  | { readonly what: 'failed'; readonly error: Error }

/** Changes that are compared next to the pass that runs. */
const maxAtOnce = 200

const nothing: Desired = { images: [], leftOut: [] }

export class Passes {
  readonly #options: PassesOptions
  /** Ends the current pass; undefined while no pass may run. */
  #abort: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #cancel: () => void = () => undefined
  /** The image lists of the last complete pass, and of the last pass that began. */
  #desired: Desired = nothing
  #begun: Desired = nothing
  /** The problem of the last reading of the list. */
  #problem: string | undefined
  readonly #recent: RecentComparisons
  /** Running comparisons of images that the watch has reported. */
  readonly #refreshing = new Set<Promise<void>>()
  /** The comparisons of whole lists among them. */
  readonly #lists = new OneAtATime()

  constructor(options: PassesOptions) {
    this.#options = options
    this.#recent = new RecentComparisons(options.clock)
  }

  /** Starts a pass now, and ends a running one early. */
  restart(): void {
    this.#abort?.abort()
    this.#cancel()
    const abort = new AbortController()
    this.#abort = abort
    this.#running = this.#running.then(async () => await this.#rounds(abort.signal))
  }

  /** Empties the queue. Running copies are not tried again. Resolves when the running pass has ended. */
  async stop(): Promise<void> {
    this.#abort?.abort()
    this.#abort = undefined
    this.#cancel()
    this.#options.mirror.desire(nothing)
    await this.#running
    await Promise.all(this.#refreshing)
    this.#options.mirror.desire(nothing)
    // Another replica writes now.
    this.#recent.clear()
  }

  /** The watch has brought other images of these targets: they are compared at once, next to the pass that runs. */
  refresh(targets: ReadonlySet<string>): void {
    const signal = this.#abort?.signal
    if (signal === undefined) return
    const refreshing = this.#refresh(targets, signal)
      .catch((error: unknown) => this.#failed(error, signal))
      .finally(() => this.#refreshing.delete(refreshing))
    this.#refreshing.add(refreshing)
  }

  /** The digest that a target of the watch last had in common with app.ci, if it is known. */
  readonly commonOf = (target: string): Digest | undefined => this.#recent.commonOf(target)

  /** QCI has this digest of the source now. */
  copied(target: string, digest: Digest): void {
    this.#recent.copied(target, digest)
  }

  failed(target: string): void {
    this.#recent.failed(target)
  }

  /** Whether passes run. */
  isActive(): boolean {
    return this.#abort !== undefined
  }

  async #rounds(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { clock, intervalMs } = this.#options
    const began = clock.now()
    try {
      await this.#pass(signal)
    } catch (error) {
      this.#failed(error, signal)
    }
    if (signal.aborted) return
    this.#cancel = clock.after(Math.max(0, began + intervalMs - clock.now()), () => this.restart())
  }

  #failed(error: unknown, signal: AbortSignal): void {
    if (!signal.aborted) this.#options.observe({ what: 'failed', error: error as Error })
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { source, config, clock, observe } = this.#options
    const began = clock.now()
    const { problem, ...reading } = await source.read(config(), signal)
    if (signal.aborted) return
    this.#problem = problem
    const wanted = changedFirst(withoutCollisions(reading), this.#desired)
    // If the first pass ended early, most images were not compared yet. Even then, changed entries come before all others.
    const desired = changedFirst(wanted, this.#begun)
    this.#begun = wanted
    observe({ what: 'desired', desired, problem })
    this.#recent.retain(desired.images)
    const images = this.#recent.due(desired.images)
    const findings = await this.#compare(desired, images, signal)
    if (signal.aborted) return
    // Set only after a complete pass, because a pass that ended early has not compared all changed entries.
    this.#desired = desired
    observe({ what: 'passed', milliseconds: clock.now() - began, images: findings.length })
  }

  async #refresh(targets: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    if (targets.size <= maxAtOnce) return await this.#compareLatest(targets, signal)
    // A list has thousands of changes. The images of the configuration are compared first, and one list after the other.
    await this.#lists.run('lists', async () => {
      await this.#running
      await this.#compareLatest(targets, signal)
    })
  }

  async #compareLatest(targets: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const { source, config, observe } = this.#options
    const latest = signal.aborted ? undefined : source.watch?.latest(config())
    // Before the first reading, the pass that runs is about to see it.
    if (latest === undefined) return
    const desired = withoutCollisions(latest)
    observe({ what: 'desired', desired, problem: this.#problem })
    const images = this.#recent.due(desired.images.filter(({ target }) => targets.has(target)))
    await this.#compare(desired, images, signal)
  }

  async #compare(
    desired: Desired,
    images: readonly DesiredImage[],
    signal: AbortSignal,
  ): Promise<readonly Finding[]> {
    const { mirror, copies, observe } = this.#options
    const found = (finding: Finding): void => {
      this.#recent.found(finding)
      observe({ what: 'found', finding })
    }
    const options = { signal, found, images, commonOf: this.#recent.commonOf }
    return copies ? await mirror.pass(desired, options) : await mirror.compare({ images }, options)
  }
}
