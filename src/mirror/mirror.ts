/**
 * The mirror: compares the images that QCI has with the configuration, and copies the differences.
 */
import { systemClock } from '../concurrency/clock.ts'
import { createBlobCopier } from './copy/blob-copier.ts'
import type { ComparedImage } from './copy/compare.ts'
import { copyImage, type CopyTools } from './copy/copy-image.ts'
import { Retention } from './copy/retention.ts'
import type { MirrorOptions, PassOptions } from './mirror-options.ts'
import { formatReference, versionOf } from './names/image-reference.ts'
import type { Desired, DesiredImage } from './plan/desired.ts'
import { CloserLook } from './plan/closer-look.ts'
import { dueCopy } from './plan/due-copy.ts'
import { compareAll, type Finding } from './plan/findings.ts'
import { CopyQueue } from './queue/copy-queue.ts'
import type { QueuedCopy } from './queue/queued-copy.ts'
import { Repository, type RepositoryOptions } from './registry/repository.ts'

export class Mirror {
  readonly queue: CopyQueue
  readonly #options: MirrorOptions
  readonly #tools: CopyTools
  /** The images of the last pass, by target. */
  #images: ReadonlyMap<string, DesiredImage> = new Map()
  /** Milliseconds of the clock, by target. */
  readonly #begun = new Map<string, number>()
  readonly #closerLook: CloserLook

  constructor(options: MirrorOptions) {
    const { observe, maxConcurrent = 8, maxPerHost = 6, rules, clock = systemClock } = options
    this.#options = options
    this.#closerLook = new CloserLook(options.hasAttachments ?? (() => false))
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
    { images }: Pick<Desired, 'images'>,
    { priority, commonOf, ...options }: PassOptions = {},
  ): Promise<readonly Finding[]> {
    return await compareAll(images, (image) => this.#sidesOf(image, { mayPush: false, priority }), {
      maxConcurrent: comparisons,
      judge: async (finding, sides) =>
        await this.#closerLook.judge(finding, sides, commonOf?.(finding.image.target)),
      ...options,
    })
  }

  /** Puts each difference into the queue, and removes images that are not desired any more. */
  async pass(desired: Desired, options: PassOptions = {}): Promise<readonly Finding[]> {
    const { found, images = desired.images, ...others } = options
    this.desire(desired)
    return await this.compare(
      { images },
      {
        ...others,
        // A copy sends many requests one after the other. Each of them would wait behind the comparisons of a whole pass.
        priority: 'background',
        found: (finding) => {
          // Drops the finding of an image that a newer list does not have, or has with another digest.
          if (!this.#isDesired(finding.image)) return
          found?.(finding)
          this.#put(finding)
        },
      },
    )
  }

  /** Removes images from the queue that are not desired any more. A copy that has begun is finished, and not tried again. */
  desire({ images }: Desired): void {
    this.#images = new Map(images.map((image) => [image.target, image]))
    for (const { target } of this.queue.list()) if (!this.#images.has(target)) this.queue.remove(target)
    this.#closerLook.retain((target) => this.#images.has(target))
  }

  /** Compares one image, and copies it now if it differs. Undefined if it is not desired. */
  async sync(target: string, options: PassOptions = {}): Promise<Finding | undefined> {
    const image = this.#images.get(target)
    if (image === undefined) return undefined
    const [finding] = await this.compare({ images: [image] }, options)
    if (!this.#isDesired(image)) return undefined
    this.#put(finding as Finding)
    // Does nothing for an image that needs no copy: it has left the queue.
    this.queue.retry(target)
    return finding
  }

  /** Attack: a late comparison with a former source would put the digest of that source into the queue. */
  #isDesired(image: DesiredImage): boolean {
    const current = this.#images.get(image.target)
    return current !== undefined && isSameImage(current, image)
  }

  #put(finding: Finding): void {
    const copy = dueCopy(finding, this.destinationOf(finding.image))
    if (copy !== undefined) this.queue.put(copy)
    // For example, a promotion has come since the copy was queued. An image that cannot be read may still differ.
    else if (finding.state !== 'unreadable') this.queue.remove(finding.image.target)
  }

  /** As people write it. */
  destinationOf({ destination = this.#options.qci, float }: DesiredImage): string {
    return `${destination.registry}/${destination.repository}:${float}`
  }

  async #copy(copy: QueuedCopy): Promise<void> {
    const { target, digest } = copy
    const image = this.#images.get(target)
    if (image === undefined) return
    const { observe, begin, hasAttachments, onlyGzipLayers = true, clock = systemClock } = this.#options
    const began = clock.now()
    this.#begun.set(target, began)
    begin?.(copy)
    const { source, target: repository, float } = this.#sidesOf(image, { mayPush: true })
    const request = { source, digest, target: repository, float, keepsOld: image.destination === undefined }
    const rules = {
      hasAttachments: hasAttachments?.(target) === true,
      onlyGzipLayers: image.distributed !== undefined && onlyGzipLayers,
      ...(copy.distributed && { expected: { digest: copy.distributed.replaced } }),
    }
    try {
      const result = await copyImage(this.#tools, { ...request, ...rules })
      this.#closerLook.copied(target, digest, result.attachments?.ofImage)
      observe?.({ what: 'copied', target, digest, result, milliseconds: clock.now() - began })
    } catch (error) {
      const unsuitable = this.#closerLook.leaveOut(image, digest, error)
      if (unsuitable === undefined) throw error
      observe?.({ what: 'unsuitable', image, form: unsuitable.form, reason: unsuitable.message })
    }
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

const isSameImage = (one: DesiredImage, other: DesiredImage): boolean =>
  formatReference(one.source) === formatReference(other.source) &&
  one.distributed?.setAt === other.distributed?.setAt

/** Images that are compared at a time. Each registry has its own rate limit. */
const comparisons = 16
