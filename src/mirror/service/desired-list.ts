/**
 * The images of a pass: one for each tag. Images that a change of the configuration has added come first.
 */
import { formatReference } from '../names/image-reference.ts'
import type { Desired, DesiredImage, LeftOutImage } from '../plan/desired.ts'

/**
 * If two images have the same tag, the first one counts. Otherwise each pass would replace the image of the other, and keep one more copy.
 */
export const withoutCollisions = (desired: Desired): Desired => {
  const images: DesiredImage[] = []
  const leftOut: LeftOutImage[] = [...desired.leftOut]
  const tags = new Map<string, string>()
  for (const image of desired.images) {
    const { destination, float, target } = image
    const tag = `${destination?.registry ?? ''}/${destination?.repository ?? ''}:${float}`
    const other = tags.get(tag)
    if (other === undefined) {
      tags.set(tag, target)
      images.push(image)
    } else if (other !== target)
      leftOut.push({ ...image, reason: `${other} has the same tag, ${float}, and comes first` })
  }
  return { images, leftOut }
}

/** A pass takes minutes, and somebody waits for the entry that they have just merged. */
export const changedFirst = (desired: Desired, before: Desired): Desired => {
  const old = new Set(before.images.map(keyOf))
  const isOld = (image: DesiredImage): boolean => old.has(keyOf(image))
  const { images, leftOut } = desired
  return { images: [...images.filter((image) => !isOld(image)), ...images.filter(isOld)], leftOut }
}

const keyOf = ({ target, source }: DesiredImage): string => `${target} ${formatReference(source)}`
