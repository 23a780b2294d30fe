/**
 * The images that QCI should have, as the configuration says it, and those that it leaves out, each with the reason.
 */
import {
  formatSource,
  imageOf,
  isSameSource,
  type MirrorConfig,
  type SupplementalImage,
} from '../config/mirror-config.ts'
import type { ImageReference } from '../names/image-reference.ts'
import { floatTagOf, formatTarget } from '../names/qci-names.ts'
import { isFromDockerHub } from '../validation/sources.ts'

export interface DesiredImage {
  /** `ocp/ubi:9` */
  readonly target: string
  /** The tag of it in QCI. */
  readonly float: string
  readonly source: ImageReference
}

export interface LeftOutImage extends DesiredImage {
  /** A sentence without its end. */
  readonly reason: string
}

export interface Desired {
  readonly images: readonly DesiredImage[]
  readonly leftOut: readonly LeftOutImage[]
}

export const desiredImages = (config: MirrorConfig): Desired => {
  const images: DesiredImage[] = []
  const leftOut: LeftOutImage[] = []
  for (const entry of config.supplemental) {
    const image = {
      target: formatTarget(entry.target),
      float: floatTagOf(entry.target),
      source: imageOf(entry.source),
    }
    const reason = reasonAgainst(config, entry)
    if (reason === undefined) images.push(image)
    else leftOut.push({ ...image, reason })
  }
  return { images, leftOut }
}

const reasonAgainst = ({ ignored }: MirrorConfig, { source }: SupplementalImage): string | undefined => {
  const match = ignored.find((candidate) => isSameSource(candidate.source, source))
  if (match !== undefined) return `${formatSource(source)} is ignored: ${match.reason}`
  // The check of pull requests can be overridden by hand.
  return isFromDockerHub(imageOf(source)) ? `${formatSource(source)} is from docker.io` : undefined
}
