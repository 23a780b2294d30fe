/**
 * Skips images that need no comparison in this pass. The watch of all ImageStreams has ten thousand images and more, and reports changes
 * itself. Comparing all of them every ten minutes would use up the rate limit of quay.io.
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { Digest } from '../../oci/digest.ts'
import type { DesiredImage } from '../plan/desired.ts'
import type { Finding } from '../plan/findings.ts'

/** Milliseconds until the next comparison: of an image of the watch that QCI has, and of any other image of the watch. */
const settledMs = 6 * 3_600_000
const openMs = 1_800_000
/** Maximum of images of the watch in one pass. With the rate limit for quay.io they take five minutes. */
const defaultMaxDue = 3000

export class RecentComparisons {
  readonly #clock: Clock
  readonly #maxDue: number
  /** By target: the digest of the source, and the time of the clock in milliseconds. */
  readonly #compared = new Map<string, { readonly digest: Digest | undefined; readonly until: number }>()

  constructor(clock: Clock, maxDue = defaultMaxDue) {
    this.#clock = clock
    this.#maxDue = maxDue
  }

  /** All images of the configuration, and the images of the watch that are due, in their order. */
  due(images: readonly DesiredImage[]): readonly DesiredImage[] {
    let left = this.#maxDue
    return images.filter((image) => {
      if (image.distributed === undefined) return true
      const isDue = left > 0 && !this.#isRecent(image)
      if (isDue) left -= 1
      return isDue
    })
  }

  found({ image, state }: Finding): void {
    if (image.distributed === undefined) return
    const ms = state === 'same' || state === 'left out' ? settledMs : openMs
    this.#compared.set(image.target, { digest: image.source.digest, until: this.#clock.now() + ms })
  }

  clear(): void {
    this.#compared.clear()
  }

  #isRecent({ target, source: { digest } }: DesiredImage): boolean {
    const compared = this.#compared.get(target)
    return compared !== undefined && compared.digest === digest && this.#clock.now() < compared.until
  }
}
