/**
 * The status of each desired image: the result of the last comparison, since when it differs, and when it was copied.
 */
import type { Digest } from '../../oci/digest.ts'
import { formatReference } from '../names/image-reference.ts'
import type { Desired, DesiredImage, LeftOutImage } from '../plan/desired.ts'
import type { Finding } from '../plan/findings.ts'
import { ownerOf, type Owner } from '../plan/owner.ts'
import type { CopyState, CopyStatus } from '../queue/queued-copy.ts'

export type ComparisonState =
  'not compared yet' | 'same' | 'different' | 'missing' | 'unreadable' | 'left out'

/** `different`: in a dry run, so it is not in the queue. */
export type ImageState = ComparisonState | CopyState

export const imageStates = [
  'not compared yet',
  'same',
  'different',
  'waiting',
  'copying',
  'backing off',
  'dead',
  'missing',
  'unreadable',
  'left out',
] as const satisfies readonly ImageState[]

export interface ImageRecord {
  readonly target: string
  readonly source: string
  readonly destination: string
  readonly owner: Owner
  readonly state: ComparisonState
  /** Why it is left out or cannot be read: a sentence without its full stop. */
  readonly reason: string | undefined
  /** The digest of the source at the last comparison. */
  readonly digest: Digest | undefined
  /** Milliseconds since the epoch. */
  readonly comparedAt: number | undefined
  /**
   * When QCI was first seen without this digest of the source, in milliseconds since the epoch. Undefined while both sides are the same.
   */
  readonly differsSince: number | undefined
  readonly copiedAt: number | undefined
}

/** The status of an image, with its state in the queue. */
export interface ImageStatus extends Omit<ImageRecord, 'state'> {
  readonly state: ImageState
  readonly copy: CopyStatus | undefined
}

export class ImageBook {
  readonly #destinationOf: (image: DesiredImage) => string
  readonly #now: () => number
  #records = new Map<string, ImageRecord>()

  /** @param now milliseconds since the epoch */
  constructor(destinationOf: (image: DesiredImage) => string, now: () => number = Date.now) {
    this.#destinationOf = destinationOf
    this.#now = now
  }

  /** Forgets images that are not in the list. */
  desire({ images, leftOut }: Desired): void {
    const before = this.#records
    this.#records = new Map()
    for (const image of images) {
      const fresh = this.#freshRecord(image)
      const old = before.get(image.target)
      // An image that was left out after a comparison stays left out until the next one.
      const wasListed = old?.state !== 'left out' || old.comparedAt !== undefined
      const isOld = old?.source === fresh.source && wasListed
      this.#records.set(image.target, isOld ? old : fresh)
    }
    for (const image of leftOut) if (!this.#records.has(image.target)) this.#leaveOut(image)
  }

  found({ image, ...finding }: Finding): void {
    const { state } = finding
    this.#change(image.target, {
      state,
      reason: 'reason' in finding ? finding.reason : undefined,
      ...('digest' in finding ? { digest: finding.digest } : {}),
      comparedAt: this.#now(),
      differsSince: this.#differsSince(image.target, state),
    })
  }

  copied(target: string): void {
    this.#change(target, {
      state: 'same',
      reason: undefined,
      differsSince: undefined,
      copiedAt: this.#now(),
    })
  }

  get(target: string): ImageRecord | undefined {
    return this.#records.get(target)
  }

  /** @param copies everything in the queue */
  list(copies: readonly CopyStatus[]): readonly ImageStatus[] {
    const byTarget = new Map(copies.map((copy) => [copy.target, copy]))
    return [...this.#records.values()].map((record) => {
      const copy = byTarget.get(record.target)
      return { ...record, state: copy?.state ?? record.state, copy }
    })
  }

  #freshRecord(image: DesiredImage): ImageRecord {
    return {
      target: image.target,
      source: formatReference(image.source),
      destination: this.#destinationOf(image),
      owner: ownerOf(image),
      state: 'not compared yet',
      reason: undefined,
      digest: undefined,
      comparedAt: undefined,
      differsSince: undefined,
      copiedAt: undefined,
    }
  }

  #leaveOut(image: LeftOutImage): void {
    const record = this.#freshRecord(image)
    this.#records.set(image.target, { ...record, state: 'left out', reason: image.reason })
  }

  #differsSince(target: string, state: ComparisonState): number | undefined {
    return state === 'same' || state === 'left out'
      ? undefined
      : (this.#records.get(target)?.differsSince ?? this.#now())
  }

  #change(target: string, change: Partial<ImageRecord>): void {
    const record = this.#records.get(target)
    if (record !== undefined) this.#records.set(target, { ...record, ...change })
  }
}
