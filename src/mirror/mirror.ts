/**
 * The mirror: compares what QCI should have with what it has, and copies the difference.
 */
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { createBlobCopier } from './copy/blob-copier.ts'
import type { ComparedImage } from './copy/compare.ts'
import { copyImage, type CopyResult, type CopyTools } from './copy/copy-image.ts'
import { Retention } from './copy/retention.ts'
import { formatReference, versionOf } from './names/image-reference.ts'
import type { Desired, DesiredImage } from './plan/desired.ts'
import { compareAll, type Finding } from './plan/findings.ts'
import { CopyQueue } from './queue/copy-queue.ts'
import type { RetryRules } from './queue/entry.ts'
import type { CopyStatus } from './queue/queued-copy.ts'
import type { Registries } from './registry/registries.ts'
import { Repository } from './registry/repository.ts'

export interface MirrorOptions {
  readonly registries: Registries
  /** Where QCI is: `quay.io` and `openshift/ci`. */
  readonly qci: { readonly registry: string; readonly repository: string }
  readonly observe?: (event: MirrorEvent) => void
  readonly maxConcurrent?: number
  readonly maxPerHost?: number
  readonly rules?: RetryRules
  readonly clock?: Clock
  /** Milliseconds since the epoch: prune tags have it in their names. */
  readonly now?: () => number
}

export type MirrorEvent =
  | { readonly what: 'copied'; readonly target: string; readonly result: CopyResult }
  | { readonly what: 'failed'; readonly status: CopyStatus; readonly error: unknown }

export class Mirror {
  readonly queue: CopyQueue
  readonly #options: MirrorOptions
  readonly #tools: CopyTools
  /** By target, as the last pass had them. */
  #images: ReadonlyMap<string, DesiredImage> = new Map()

  constructor(options: MirrorOptions) {
    const { observe, maxConcurrent = 8, maxPerHost = 6, rules, clock = systemClock } = options
    this.#options = options
    this.#tools = { blobs: createBlobCopier(), retention: new Retention(options.now) }
    this.queue = new CopyQueue({
      run: async ({ target, digest }) => await this.#copy(target, digest),
      maxConcurrent,
      maxPerHost,
      clock,
      ...(rules && { rules }),
      observe: (status, error) => error !== undefined && observe?.({ what: 'failed', status, error }),
    })
  }

  /** Reads only: two requests for an image. In the order of the images. */
  async compare({ images }: Desired): Promise<readonly Finding[]> {
    return await compareAll(images, (image) => this.#sidesOf(image, false), comparisons)
  }

  /** Puts each difference into the queue, and takes out of it what is not desired any more. */
  async pass(desired: Desired): Promise<readonly Finding[]> {
    this.#images = new Map(desired.images.map((image) => [image.target, image]))
    for (const { target } of this.queue.list()) if (!this.#images.has(target)) this.queue.remove(target)
    const findings = await this.compare(desired)
    for (const { image, ...finding } of findings) {
      if (finding.state !== 'different') continue
      const { registry, repository } = image.destination ?? this.#options.qci
      this.queue.put({
        target: image.target,
        source: formatReference(image.source),
        destination: `${registry}/${repository}:${image.float}`,
        createdAt: Date.now(),
        sourceHost: image.source.registry,
        digest: finding.digest,
      })
    }
    return findings
  }

  async #copy(target: string, digest: CopyStatus['digest']): Promise<void> {
    const image = this.#images.get(target) as DesiredImage
    const { source, target: repository, float } = this.#sidesOf(image, true)
    const keepsOld = image.destination === undefined
    const result = await copyImage(this.#tools, { source, digest, target: repository, float, keepsOld })
    this.#options.observe?.({ what: 'copied', target, result })
  }

  #sidesOf(desired: DesiredImage, mayPush: boolean): ComparedImage {
    const { registries, qci } = this.#options
    const { source, float, target: image, destination = qci } = desired
    return {
      source: new Repository({
        client: registries.of(source.registry),
        name: source.repository,
        mayPush: false,
        image,
      }),
      version: versionOf(source),
      target: new Repository({
        client: registries.of(destination.registry),
        name: destination.repository,
        mayPush,
        image,
      }),
      float,
    }
  }
}

/** Images that are compared at a time; the pace of each registry is its own. */
const comparisons = 16
