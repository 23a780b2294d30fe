/**
 * The service: the configuration file, the lease, passes over all images, the copy queue, the API, the log and the metrics.
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { Logger } from '../../telemetry/logging.ts'
import { Registry } from 'prom-client'
import type { MirrorConfig } from '../config/mirror-config.ts'
import { Lease, type LeaseChange, type LeaseStore } from '../lease/lease.ts'
import type { MirrorEvent, MirrorOptions } from '../mirror-options.ts'
import { Mirror } from '../mirror.ts'
import type { DesiredSource } from '../plan/desired-source.ts'
import type { Finding } from '../plan/findings.ts'
import type { RetryRules } from '../queue/entry.ts'
import { Registries, type RegistriesOptions } from '../registry/registries.ts'
import { noPermit } from '../registry/write-permit.ts'
import { ImageBook } from '../status/image-book.ts'
import type { MirrorStatus } from '../status/status-server.ts'
import { MirrorLog } from './mirror-log.ts'
import { MirrorMetrics } from './mirror-metrics.ts'
import { Passes, type PassEvent } from './passes.ts'

export interface ServiceOptions {
  readonly logger: Logger
  readonly config: () => MirrorConfig
  readonly isConfigCurrent: () => boolean
  readonly source: DesiredSource
  readonly qci: MirrorOptions['qci']
  readonly credentialOf: RegistriesOptions['credentialOf']
  readonly originOf?: RegistriesOptions['originOf']
  /** Undefined for a dry run, which only logs differences. */
  readonly lease: { readonly store: LeaseStore; readonly identity: string } | undefined
  /** Milliseconds between two passes. */
  readonly intervalMs: number
  readonly clock: Clock
  readonly hasAttachments?: MirrorOptions['hasAttachments']
  readonly onlyGzipLayers?: boolean
  readonly rate?: RegistriesOptions['rate']
  readonly rules?: RetryRules
}

export class MirrorService implements MirrorStatus {
  readonly metrics: MirrorMetrics
  readonly #options: ServiceOptions
  readonly #log: MirrorLog
  readonly #lease: Lease | undefined
  readonly #registries: Registries
  readonly #mirror: Mirror
  readonly #book: ImageBook
  readonly #passes: Passes
  /** Ends every request of the copies, after the grace period. */
  readonly #cut = new AbortController()
  #isListWhole = true
  /** Resolves when the passes of the last lease have ended. */
  #ended: Promise<void> = Promise.resolve()

  constructor(options: ServiceOptions) {
    const { logger, lease, clock, qci, rate, rules, credentialOf, originOf } = options
    this.#options = options
    this.#log = new MirrorLog(logger)
    this.#lease = lease && new Lease({ ...lease, clock, observe: (change) => this.#leaseChanged(change) })
    this.#registries = new Registries({
      permit: this.#lease ?? noPermit,
      credentialOf,
      clock,
      observePause: (host, ms) => this.metrics.paused(host, ms),
      ...(originOf && { originOf }),
      ...(rate && { rate }),
    })
    const observe = (event: MirrorEvent): void => this.#copyEvent(event)
    const mirror = {
      registries: this.#registries,
      qci,
      clock,
      observe,
      begin: this.#log.begin,
      hasAttachments: options.hasAttachments ?? (() => false),
      onlyGzipLayers: options.onlyGzipLayers ?? true,
      signal: this.#cut.signal,
    }
    this.#mirror = new Mirror({ ...mirror, ...(rules && { rules }) })
    this.#book = new ImageBook((image) => this.#mirror.destinationOf(image))
    this.#passes = this.#createPasses(options)
    this.metrics = this.#createMetrics(options)
  }

  start(): void {
    void this.#options.source.watch?.start((targets) => this.#passes.refresh(targets))
    if (this.#lease === undefined) this.#passes.restart()
    else this.#lease.start()
  }

  /** The configuration has changed. */
  changed(): void {
    if (this.#passes.isActive()) this.#passes.restart()
  }

  /** Looks at files of the list of images now. */
  reload(): void {
    this.#options.source.watch?.reload()
  }

  /**
   * Starts no further copy, waits for running copies, and gives the lease back. @param graceMs running copies are aborted after this time
   */
  async stop(graceMs: number): Promise<void> {
    const cancel = this.#options.clock.after(graceMs, () => this.#cut.abort())
    await this.#options.source.watch?.close()
    await this.#passes.stop()
    await this.#mirror.queue.stop()
    cancel()
    await this.#lease?.stop()
    await this.#registries.close()
  }

  /** Which files of the list of images cannot be read. */
  readonly problem = (): string | undefined => this.#options.source.watch?.problem()

  readonly queue: MirrorStatus['queue'] = () => this.#mirror.queue.list()

  readonly images: MirrorStatus['images'] = () => this.#book.list(this.queue())

  readonly verdictOf: MirrorStatus['verdictOf'] = (target) => this.#options.source.watch?.verdictOf(target)

  readonly epochOf: MirrorStatus['epochOf'] = (at) => Date.now() + at - this.#options.clock.now()

  readonly sync: MirrorStatus['sync'] = async (target) => {
    if (this.#lease === undefined) return 'this is a dry run, which copies nothing'
    if (!this.#lease.isHeld()) return 'this replica does not have the lease: another one copies'
    const found = (finding: Finding): void => this.#book.found(finding)
    const finding = await this.#mirror.sync(target, { found, commonOf: this.#passes.commonOf })
    return finding === undefined ? this.#reasonAgainst(target) : undefined
  }

  /** Whether this replica has the lease. */
  readonly hasLease = (): boolean => this.#lease?.isHeld() ?? false

  #reasonAgainst(target: string): string {
    const reason = this.#book.get(target)?.reason
    return reason === undefined ? 'the first pass has not begun yet' : `it is left out: ${reason}`
  }

  #createPasses({ source, config, intervalMs, clock, lease }: ServiceOptions): Passes {
    const observe = (event: PassEvent): void => this.#passEvent(event)
    const copies = lease !== undefined
    return new Passes({ mirror: this.#mirror, source, config, intervalMs, clock, copies, observe })
  }

  #createMetrics({ isConfigCurrent, source: { watch } }: ServiceOptions): MirrorMetrics {
    return new MirrorMetrics(new Registry(), {
      images: this.images,
      queued: () => this.queue().length,
      hasLease: this.hasLease,
      isConfigCurrent,
      isListWhole: () => this.#isListWhole && (watch?.isWhole() ?? true),
      watched: watch?.counts,
      now: Date.now,
    })
  }

  #leaseChanged(change: LeaseChange): void {
    this.#log.lease(change)
    if (change.what === 'acquired') void this.#ended.then(() => this.hasLease() && this.#passes.restart())
    // Another replica copies now. This one builds its queue again when it gets the lease back.
    if (change.what === 'lost') this.#ended = this.#passes.stop()
  }

  #copyEvent(event: MirrorEvent): void {
    this.#log.copy(event)
    if (event.what === 'copied') {
      this.#book.copied(event.target)
      this.#passes.copied(event.target, event.digest)
      this.metrics.copied(event.result, event.milliseconds)
    } else if (event.what === 'failed') {
      this.#passes.failed(event.status.target)
      this.metrics.failed(event.status.state === 'dead', event.milliseconds)
    } else this.#book.found({ image: event.image, state: 'left out', reason: event.reason })
  }

  #passEvent(event: PassEvent): void {
    this.#log.pass(event)
    if (event.what === 'desired') {
      this.#book.desire(event.desired)
      this.#isListWhole = event.problem === undefined
    } else if (event.what === 'found') this.#book.found(event.finding)
    else if (event.what === 'passed') this.metrics.passed(event.milliseconds, Date.now())
  }
}
