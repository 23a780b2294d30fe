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

interface Compared {
  readonly digest: Digest | undefined
  readonly setAt: number | undefined
  /** Milliseconds of the clock. */
  readonly until: number
  /** The digest that QCI last had in common with app.ci. */
  readonly common: Digest | undefined
}

export class RecentComparisons {
  readonly #clock: Clock
  readonly #maxDue: number
  /** Images of the watch by target. The least recently compared is the first one. */
  readonly #compared = new Map<string, Compared>()

  constructor(clock: Clock, maxDue = defaultMaxDue) {
    this.#clock = clock
    this.#maxDue = maxDue
  }

  /**
   * All images of the configuration, and the images of the watch that are due. If too many of these are due, those that have waited longest
   * are compared, so that each image gets its turn.
   * @returns in the order of `images`
   */
  due(images: readonly DesiredImage[]): readonly DesiredImage[] {
    const open = new Set<string>()
    for (const image of images) if (this.#isOpen(image)) open.add(image.target)
    if (open.size <= this.#maxDue) return images.filter((image) => isListed(image) || open.has(image.target))
    const chosen = new Set<string>()
    for (const target of this.#inTurn(open)) if (chosen.size < this.#maxDue) chosen.add(target)
    return images.filter((image) => isListed(image) || chosen.has(image.target))
  }

  found(finding: Finding): void {
    const { image, state } = finding
    if (isListed(image)) return
    const { target, source, distributed } = image
    const ms = state === 'same' || state === 'left out' ? settledMs : openMs
    const common = state === 'same' ? finding.digest : this.#compared.get(target)?.common
    const until = this.#clock.now() + ms
    // At the end of the order.
    this.#compared.delete(target)
    this.#compared.set(target, { digest: source.digest, setAt: distributed?.setAt, until, common })
  }

  copied(target: string, digest: Digest): void {
    const compared = this.#compared.get(target)
    if (compared !== undefined) this.#compared.set(target, { ...compared, common: digest })
  }

  /** The copy has failed. Somebody else may have written meanwhile, so the next pass compares the image again. */
  failed(target: string): void {
    const compared = this.#compared.get(target)
    if (compared !== undefined) this.#compared.set(target, { ...compared, until: -Infinity })
  }

  readonly commonOf = (target: string): Digest | undefined => this.#compared.get(target)?.common

  /** Forgets all other images: tags come and go for as long as the process runs. */
  retain(images: readonly DesiredImage[]): void {
    const targets = new Set(images.map(({ target }) => target))
    for (const target of this.#compared.keys()) if (!targets.has(target)) this.#compared.delete(target)
  }

  clear(): void {
    this.#compared.clear()
  }

  /** Images that were never compared come first, then the least recently compared ones. */
  *#inTurn(open: ReadonlySet<string>): Generator<string, void> {
    for (const target of open) if (!this.#compared.has(target)) yield target
    for (const target of this.#compared.keys()) if (open.has(target)) yield target
  }

  #isOpen(image: DesiredImage): boolean {
    const { target, source, distributed } = image
    if (distributed === undefined) return false
    const compared = this.#compared.get(target)
    return (
      compared === undefined ||
      compared.digest !== source.digest ||
      compared.setAt !== distributed.setAt ||
      this.#clock.now() >= compared.until
    )
  }
}

/** Whether the configuration has it: such an image is compared in each pass. */
const isListed = ({ distributed }: DesiredImage): boolean => distributed === undefined
