/**
 * The mirror: compares the images that QCI has with the configuration, and copies the differences.
 */
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { createBlobCopier } from './copy/blob-copier.ts'
import type { ComparedImage } from './copy/compare.ts'
import { copyImage, type CopyResult, type CopyTools } from './copy/copy-image.ts'
import { Retention } from './copy/retention.ts'
import { formatReference, versionOf } from './names/image-reference.ts'
import type { Desired, DesiredImage } from './plan/desired.ts'
import { compareAll, type CompareOptions, type Finding } from './plan/findings.ts'
import { CopyQueue } from './queue/copy-queue.ts'
import type { RetryRules } from './queue/entry.ts'
import type { CopyStatus, QueuedCopy } from './queue/queued-copy.ts'
import type { Registries } from './registry/registries.ts'
import { Repository, type RepositoryOptions } from './registry/repository.ts'

export interface MirrorOptions {
  readonly registries: Registries
  /** Where QCI is: `quay.io` and `openshift/ci`. */
  readonly qci: { readonly registry: string; readonly repository: string }
  readonly observe?: (event: MirrorEvent) => void
  /** Called when a copy begins. */
  readonly begin?: (copy: QueuedCopy) => void
  /** Whether an image is copied with its signatures, attestations and SBOMs. */
  readonly hasAttachments?: (target: string) => boolean
  readonly maxConcurrent?: number
  readonly maxPerHost?: number
  readonly rules?: RetryRules
  readonly clock?: Clock
  /** Ends every request. */
  readonly signal?: AbortSignal
  /** Milliseconds since the epoch: prune tags have it in their names. */
  readonly now?: () => number
}

export interface PassOptions extends Pick<CompareOptions, 'signal' | 'found'> {
  readonly priority?: RepositoryOptions['priority']
}

export type MirrorEvent =
  | ({ readonly what: 'copied'; readonly target: string; readonly result: CopyResult } & Timed)
  | ({ readonly what: 'failed'; readonly status: CopyStatus; readonly error: unknown } & Timed)

interface Timed {
  readonly milliseconds: number
}

export class Mirror {
  readonly queue: CopyQueue
  readonly #options: MirrorOptions
  readonly #tools: CopyTools
  /** The images of the last pass, by target. */
  #images: ReadonlyMap<string, DesiredImage> = new Map()
  /** Milliseconds of the clock, by target. */
  readonly #begun = new Map<string, number>()

  constructor(options: MirrorOptions) {
    const { observe, maxConcurrent = 8, maxPerHost = 6, rules, clock = systemClock } = options
    this.#options = options
    this.#tools = { blobs: createBlobCopier(), retention: new Retention(options.now) }
    this.queue = new CopyQueue({
      run: async (copy) => await this.#copy(copy),
      maxConcurrent,
      maxPerHost,
      clock,
      ...(rules && { rules }),
      observe: (status, error) => {
        const milliseconds = clock.now() - (this.#begun.get(status.target) as number)
        this.#begun.delete(status.target)
        if (error !== undefined) observe?.({ what: 'failed', status, error, milliseconds })
      },
    })
  }

  /** Reads only: two requests for an image. In the order of the images. */
  async compare(
    { images }: Desired,
    { priority, ...options }: PassOptions = {},
  ): Promise<readonly Finding[]> {
    return await compareAll(images, (image) => this.#sidesOf(image, { mayPush: false, priority }), {
      maxConcurrent: comparisons,
      ...options,
    })
  }

  /** Puts each difference into the queue, and removes images that are not desired any more. */
  async pass(desired: Desired, { signal, found }: PassOptions = {}): Promise<readonly Finding[]> {
    this.desire(desired)
    return await this.compare(desired, {
      signal,
      // A copy sends many requests one after the other. Each of them would wait behind the comparisons of a whole pass.
      priority: 'background',
      found: (finding) => {
        found?.(finding)
        this.#put(finding)
      },
    })
  }

  /** Removes images from the queue that are not desired any more. A copy that has begun is finished, and not tried again. */
  desire({ images }: Desired): void {
    this.#images = new Map(images.map((image) => [image.target, image]))
    for (const { target } of this.queue.list()) if (!this.#images.has(target)) this.queue.remove(target)
  }

  /** Compares one image, and copies it now if it differs. Undefined if it is not desired. */
  async sync(target: string, options: PassOptions = {}): Promise<Finding | undefined> {
    const image = this.#images.get(target)
    if (image === undefined) return undefined
    const [finding] = await this.compare({ images: [image], leftOut: [] }, options)
    if (this.#images.get(target) !== image) return undefined
    this.#put(finding as Finding)
    this.queue.retry(target)
    return finding
  }

  #put({ image, ...finding }: Finding): void {
    // A newer list may have arrived during the pass, so some compared images are not desired any more.
    if (finding.state !== 'different' || !this.#images.has(image.target)) return
    this.queue.put({
      target: image.target,
      source: formatReference(image.source),
      destination: this.destinationOf(image),
      createdAt: Date.now(),
      sourceHost: image.source.registry,
      digest: finding.digest,
    })
  }

  /** As people write it. */
  destinationOf({ destination = this.#options.qci, float }: DesiredImage): string {
    return `${destination.registry}/${destination.repository}:${float}`
  }

  async #copy(copy: QueuedCopy): Promise<void> {
    const { target, digest } = copy
    const image = this.#images.get(target)
    if (image === undefined) return
    const { observe, begin, hasAttachments, clock = systemClock } = this.#options
    const began = clock.now()
    this.#begun.set(target, began)
    begin?.(copy)
    const { source, target: repository, float } = this.#sidesOf(image, { mayPush: true })
    const keepsOld = image.destination === undefined
    const request = { source, digest, target: repository, float, keepsOld }
    const attached = { ...request, hasAttachments: hasAttachments?.(target) === true }
    const result = await copyImage(this.#tools, attached)
    observe?.({ what: 'copied', target, result, milliseconds: clock.now() - began })
  }

  #sidesOf(
    desired: DesiredImage,
    { mayPush, priority }: Pick<RepositoryOptions, 'mayPush' | 'priority'>,
  ): ComparedImage {
    const { registries, qci, signal } = this.#options
    const { source, float, target: image, destination = qci } = desired
    return {
      source: new Repository({
        client: registries.of(source.registry),
        name: source.repository,
        mayPush: false,
        image,
        signal,
        priority,
      }),
      version: versionOf(source),
      target: new Repository({
        client: registries.of(destination.registry),
        name: destination.repository,
        mayPush,
        image,
        signal,
        priority,
      }),
      float,
    }
  }
}

/** Images that are compared at a time. Each registry has its own rate limit. */
const comparisons = 16
