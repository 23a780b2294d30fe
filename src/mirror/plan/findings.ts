/**
 * What there is to do: each desired image compared with what QCI has, many at a time.
 */
import { compareImages, type ComparedImage, type Comparison } from '../copy/compare.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { DesiredImage } from './desired.ts'

export type Finding = { readonly image: DesiredImage } & (
  | Comparison
  /** A side could not be read; `reason` is a sentence without its end. */
  | { readonly state: 'unreadable'; readonly reason: string }
)

/** In the order of `images`. One image that cannot be read does not stop the others. */
export const compareAll = async (
  images: readonly DesiredImage[],
  sidesOf: (image: DesiredImage) => ComparedImage,
  maxConcurrent: number,
): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < images.length; at = next++) {
      const image = images[at] as DesiredImage
      findings[at] = { image, ...(await compared(sidesOf(image))) }
    }
  }
  await Promise.all(Array.from({ length: Math.min(maxConcurrent, images.length) }, work))
  return findings
}

const compared = async (
  sides: ComparedImage,
): Promise<Comparison | { readonly state: 'unreadable'; readonly reason: string }> => {
  try {
    return await compareImages(sides)
  } catch (error) {
    if (!(error instanceof RegistryFailure)) throw error
    return { state: 'unreadable', reason: error.message }
  }
}
