/**
 * Compares each desired image with QCI, many at a time.
 */
import { compareImages, type ComparedImage, type Comparison } from '../copy/compare.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { DesiredImage } from './desired.ts'

export type Finding = { readonly image: DesiredImage } & (
  | (Comparison & { readonly isStale?: boolean; readonly hasNewAttachments?: boolean })
  /** A side could not be read, or a rule forbids the copy; `reason` is a sentence without its full stop. */
  | { readonly state: 'unreadable' | 'left out'; readonly reason: string }
)

export interface CompareOptions {
  readonly maxConcurrent: number
  /** After this signal, no further comparison begins. */
  readonly signal?: AbortSignal | undefined
  /** Called for each finding at once. */
  readonly found?: (finding: Finding) => void
  /** Looks closer at a difference. @throws {RegistryFailure} */
  readonly judge?: (finding: Finding, sides: ComparedImage) => Promise<Finding>
}

/**
 * The findings are in the order of `images`; some are missing if `signal` was aborted. An image that cannot be read does not stop the
 * others.
 */
export const compareAll = async (
  images: readonly DesiredImage[],
  sidesOf: (image: DesiredImage) => ComparedImage,
  { maxConcurrent, signal, found, judge }: CompareOptions,
): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < images.length; at = next++) {
      if (signal?.aborted === true) return
      const image = images[at] as DesiredImage
      const finding = await compared(image, sidesOf, judge)
      findings[at] = finding
      found?.(finding)
    }
  }
  await Promise.all(Array.from({ length: Math.min(maxConcurrent, images.length) }, work))
  return findings
}

const compared = async (
  image: DesiredImage,
  sidesOf: (image: DesiredImage) => ComparedImage,
  judge: CompareOptions['judge'],
): Promise<Finding> => {
  try {
    const sides = sidesOf(image)
    const finding = { image, ...(await compareImages(sides)) }
    return judge === undefined ? finding : await judge(finding, sides)
  } catch (error) {
    // Any other error is a mistake of this program. It must not end the pass over all other images.
    const { message } = error as Error
    const reason = error instanceof RegistryFailure ? message : `unexpected: ${message}`
    return { image, state: 'unreadable', reason }
  }
}
