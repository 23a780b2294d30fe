/**
 * Images that need no comparison in this pass. The watch of all ImageStreams brings ten thousand and more, and tells when one changes: to look at
 * each of them every ten minutes would take all requests that quay.io allows.
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { Digest } from '../../oci/digest.ts'
import type { DesiredImage } from '../plan/desired.ts'
import type { Finding } from '../plan/findings.ts'

/** Milliseconds until the next comparison of an image of the watch that is in QCI, and of any other one. */
const settledMs = 6 * 3_600_000
const openMs = 1_800_000
/** Images of the watch in one pass: with the pace for quay.io, five minutes. */
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

  /** All images of the configuration, and of the watch those that are due. In their order. */
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
