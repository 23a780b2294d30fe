/**
 * The metrics of the mirror: the two of the former program under their old names, and new ones.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { imageStates, type ImageStatus } from '../status/image-book.ts'
import type { CopyResult } from '../copy/copy-image.ts'
import type { SourceWatch } from '../plan/desired-source.ts'
import { distributorName } from '../plan/owner.ts'

export interface MetricsSources {
  readonly images: () => readonly ImageStatus[]
  /** Everything in the queue. */
  readonly queued: () => number
  readonly hasLease: () => boolean
  readonly isConfigCurrent: () => boolean
  /** Whether all parts of the list of images could be read. */
  readonly isListWhole: () => boolean
  /** Metrics of the watch of all ImageStreams. */
  readonly watched?: SourceWatch['counts'] | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export class MirrorMetrics {
  readonly registry: Registry
  readonly #durations: Histogram<'state'>
  readonly #copies: Counter<'result'>
  readonly #blobs: Counter<'outcome'>
  readonly #bytes: Counter
  readonly #kept: Counter
  readonly #pauses: Counter<'host'>
  readonly #passes: Gauge
  readonly #passSeconds: Gauge

  constructor(registry: Registry, sources: MetricsSources) {
    this.registry = registry
    const registers = [registry]
    this.#durations = new Histogram({
      name: 'quay_io_ci_images_distributor_image_mirroring_duration_seconds',
      help: 'Time of the copy of an image, by how it ended.',
      labelNames: ['state'],
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    })
    const counter = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter({ name: `ci_images_mirror_${name}`, help, labelNames, registers })
    this.#copies = counter('copies_total', 'Tries to copy an image, by result.', ['result'])
    for (const result of ['copied', 'failed', 'dead']) this.#copies.inc({ result }, 0)
    this.#blobs = counter('blobs_total', 'Blobs of copied images, by what became of them.', ['outcome'])
    for (const outcome of ['mounted', 'present', 'uploaded']) this.#blobs.inc({ outcome }, 0)
    this.#bytes = counter('uploaded_bytes_total', 'Bytes of the blobs that were uploaded.')
    this.#kept = counter('replaced_images_total', 'Images that were replaced, and kept under a prune tag.')
    this.#pauses = counter('pause_seconds_total', 'Time without requests after a 429, by registry.', ['host'])
    const timeOf = (name: string, help: string) =>
      new Gauge({ name: `ci_images_mirror_${name}`, help, registers })
    this.#passes = timeOf('last_pass_timestamp_seconds', 'When all images were compared last.')
    this.#passSeconds = timeOf('last_pass_duration_seconds', 'How long that took.')
    addGauges(registry, sources)
  }

  copied({ blobs, bytes, replaced }: CopyResult, milliseconds: number): void {
    this.#durations.observe({ state: 'success' }, milliseconds / 1000)
    this.#copies.inc({ result: 'copied' })
    for (const [outcome, count] of Object.entries(blobs)) this.#blobs.inc({ outcome }, count)
    this.#bytes.inc(bytes)
    if (replaced?.pruneTag !== undefined) this.#kept.inc()
  }

  failed(isDead: boolean, milliseconds: number): void {
    this.#durations.observe({ state: 'failure' }, milliseconds / 1000)
    this.#copies.inc({ result: isDead ? 'dead' : 'failed' })
  }

  /** A registry answered 429, so it gets no request for this time. @param host as in the configuration */
  paused(host: string, milliseconds: number): void {
    this.#pauses.inc({ host }, milliseconds / 1000)
  }

  passed(milliseconds: number, now: number): void {
    this.#passes.set(now / 1000)
    this.#passSeconds.set(milliseconds / 1000)
  }
}

/** Read at each scrape. */
const addGauges = (registry: Registry, sources: MetricsSources): void => {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value())
      },
    })
  const { images, queued, hasLease, isConfigCurrent, isListWhole, watched, now } = sources
  gauge('quay_io_ci_images_distributor_mirror_queue_depth', 'Images in the queue.', queued)
  gauge('ci_images_mirror_leader', 'Whether this replica has the lease.', () => Number(hasLease()))
  gauge('ci_images_mirror_config_current', 'Whether the configuration file is in force as it is.', () =>
    Number(isConfigCurrent()),
  )
  gauge(
    'ci_images_mirror_list_whole',
    'Whether the ImageStreams of app.ci and the checkout could be read.',
    () => Number(isListWhole()),
  )
  gauge(
    'ci_images_mirror_oldest_difference_seconds',
    'For how long the oldest difference has been there.',
    () => {
      const since = images().map(({ differsSince }) => differsSince ?? now())
      return (now() - since.reduce((oldest, at) => Math.min(oldest, at), now())) / 1000
    },
  )
  if (watched !== undefined) {
    gauge(
      'ci_images_mirror_watched_tags',
      'Tags of ImageStreams that the watch mirrors.',
      () => watched().tags,
    )
    gauge(
      'ci_images_mirror_watch_silent_seconds',
      'For how long the watch of ImageStreams has heard nothing.',
      () => watched().silentSeconds,
    )
  }
  addImageGauges(registry, sources)
}

/** States of an image that is in the queue, or would be in it without `--dry-run`. */
const pending = new Set(['different', 'waiting', 'copying', 'backing off'])
/** States of an image that needs a person. */
const unhealthy = new Set(['dead', 'missing', 'unreadable'])

/** app.ci deletes old images, and nobody has named those of the watch: of their missing sources there may be thousands. */
const isUnhealthy = (state: string, owner: ImageStatus['owner']): boolean =>
  unhealthy.has(state) && !(state === 'missing' && owner === distributorName)

const addImageGauges = (
  registry: Registry,
  { images, now }: Pick<MetricsSources, 'images' | 'now'>,
): void => {
  registry.registerMetric(
    new Gauge({
      name: 'ci_images_mirror_images',
      help: 'Images that are to be in QCI or on app.ci, by state.',
      labelNames: ['state'],
      registers: [],
      collect() {
        const counts = new Map<string, number>(imageStates.map((state) => [state, 0]))
        for (const { state } of images()) counts.set(state, (counts.get(state) as number) + 1)
        for (const [state, count] of counts) this.set({ state }, count)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'ci_images_mirror_image_unhealthy',
      help: '1 for each image that is not copied until somebody does something, with its state.',
      labelNames: ['target', 'state', 'owner'],
      registers: [],
      collect() {
        this.reset()
        for (const { target, state, owner } of images())
          if (isUnhealthy(state, owner)) this.set({ target, state, owner }, 1)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'ci_images_mirror_image_differs_seconds',
      help: 'For how long each image has differed that is to be copied.',
      labelNames: ['target', 'owner'],
      registers: [],
      collect() {
        this.reset()
        for (const { target, state, owner, differsSince } of images())
          if (pending.has(state) && differsSince !== undefined)
            this.set({ target, owner }, (now() - differsSince) / 1000)
      },
    }),
  )
}
