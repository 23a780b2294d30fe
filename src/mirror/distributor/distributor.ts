/**
 * The watch of all ImageStreams of app.ci. It selects tags that are mirrored in addition to those of the configuration.
 */
import type { KubeConfig } from '@kubernetes/client-node'
import type { Clock } from '../../concurrency/clock.ts'
import { ImageStreamWatch, type WatchFailure } from '../../kubernetes/image-streams.ts'
import { streamTagsOf } from '../app-ci/current-images.ts'
import type { MirrorConfig } from '../config/mirror-config.ts'
import { parseTarget } from '../names/qci-names.ts'
import type { Desired } from '../plan/desired.ts'
import type { DesiredReading, DesiredSource, SourceWatch } from '../plan/desired-source.ts'
import { CheckoutWatch } from './checkout-watch.ts'
import { withDistributed } from './distributed-images.ts'
import type { DistributorOptions } from './distributor-options.ts'
import { ImageFilter } from './image-filter.ts'
import { ReleaseCheckout, type CheckoutReading } from './release-checkout.ts'
import { StreamTagIndex, type StreamTags } from './stream-tags.ts'
import { isSameInputs, noInputs, type TestInputs } from './test-inputs.ts'

export type DistributorEvent =
  | { readonly what: 'listed'; readonly tags: number }
  | { readonly what: 'watch failed'; readonly failure: WatchFailure; readonly error: Error }
  | ({ readonly what: 'checkout read' } & Omit<CheckoutReading, 'inputs'>)
  | { readonly what: 'checkout failed'; readonly error: Error }

export interface DistributorSetup {
  /** The images of the configuration alone. */
  readonly base: DesiredSource
  readonly kubeConfig: KubeConfig
  readonly options: DistributorOptions
  readonly clock: Clock
  readonly observe: (event: DistributorEvent) => void
  /** Milliseconds to wait after a failure of the watch. */
  readonly retryMs?: number
}

/** Objects of a page: 50 large ImageStreams have about 10 MB. */
const pageSize = 50
/** Milliseconds for which changes are collected before they are reported. */
const gatherMs = 1000
/** Milliseconds without any event after which the watch is ended. The API server sends a bookmark about every minute. */
const silenceMs = 300_000

export class Distributor implements DesiredSource, SourceWatch {
  readonly watch: SourceWatch = this
  readonly #setup: DistributorSetup
  readonly #streams: ImageStreamWatch<StreamTags>
  readonly #index: StreamTagIndex
  /** Undefined: inputs of tests are not mirrored. */
  readonly #checkout: CheckoutWatch | undefined
  #inputs: TestInputs = noInputs
  #filter: ImageFilter
  #listed: Desired | undefined
  #changed: ((targets: ReadonlySet<string>) => void) | undefined
  /** Changed targets that were not reported yet. */
  #gathered = new Set<string>()
  #isClosed = false

  constructor(setup: DistributorSetup) {
    const { kubeConfig, observe, retryMs, options, clock } = setup
    this.#setup = setup
    this.#filter = new ImageFilter(options)
    this.#index = new StreamTagIndex({
      onChange: (tags) => this.#gather(tags),
      onListed: () => observe({ what: 'listed', tags: this.#index.tagCount() }),
    })
    this.#checkout =
      options.releaseRepository === undefined
        ? undefined
        : new CheckoutWatch({
            checkout: new ReleaseCheckout(options.releaseRepository),
            clock,
            onRead: (reading) => this.#wasRead(reading),
            onFailure: (error) => observe({ what: 'checkout failed', error }),
          })
    this.#streams = new ImageStreamWatch({
      kubeConfig,
      observer: this.#index,
      pageSize,
      read: (object, { namespace, name }) =>
        streamTagsOf(object, (tag) => this.#filter.verdictOf({ namespace, name, tag }).isWanted),
      onFailure: (failure, error) => observe({ what: 'watch failed', failure, error }),
      ...(retryMs === undefined ? {} : { retryMs }),
    })
  }

  async read(config: MirrorConfig, signal: AbortSignal): Promise<DesiredReading> {
    const { problem, ...listed } = await this.#setup.base.read(config, signal)
    this.#listed = listed
    return { ...this.#with(config, listed), ...(problem === undefined ? {} : { problem }) }
  }

  latest(config: MirrorConfig): Desired | undefined {
    return this.#listed && this.#with(config, this.#listed)
  }

  async start(changed: (targets: ReadonlySet<string>) => void): Promise<void> {
    this.#changed = changed
    // The inputs of tests are read first, so that the ImageStreams have to be listed only once.
    await this.#checkout?.read()
    if (!this.#isClosed) this.#streams.start()
  }

  reload(): void {
    void this.#checkout?.read()
  }

  problem(): string | undefined {
    const problem = this.#checkout?.problem()
    return problem && `the checkout of openshift/release cannot be read: ${problem}`
  }

  isWhole(): boolean {
    return this.problem() === undefined && this.#streams.listed() && this.#streams.silentMs() < silenceMs
  }

  readonly counts: SourceWatch['counts'] = () => ({
    tags: this.#index.tagCount(),
    silentSeconds: this.#streams.silentMs() / 1000,
  })

  verdictOf(target: string): string | undefined {
    const imageStreamTag = parseTarget(target)
    return imageStreamTag && this.#filter.verdictOf(imageStreamTag).reason
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#checkout?.close()
    await this.#streams.close()
  }

  #with(config: MirrorConfig, listed: Desired): Desired {
    return withDistributed(config, listed, this.#index.entries())
  }

  #wasRead({ inputs, ...reading }: CheckoutReading): void {
    this.#setup.observe({ what: 'checkout read', ...reading })
    if (isSameInputs(inputs, this.#inputs)) return
    this.#inputs = inputs
    this.#filter = new ImageFilter(this.#setup.options, inputs)
    // Images of tags that were not selected before are not cached, so a new list is needed.
    this.#streams.relist()
  }

  #gather(tags: readonly string[]): void {
    if (this.#gathered.size === 0) this.#setup.clock.after(gatherMs, () => this.#tell())
    for (const tag of tags) this.#gathered.add(tag)
  }

  #tell(): void {
    const changed = this.#gathered
    this.#gathered = new Set()
    if (!this.#isClosed) this.#changed?.(changed)
  }
}
