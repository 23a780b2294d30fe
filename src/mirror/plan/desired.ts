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
import { floatTagOf, formatTarget, type ImageStreamTag } from '../names/qci-names.ts'
import { checkCircles } from '../validation/circles.ts'
import { isFromDockerHub } from '../validation/sources.ts'

export interface DesiredImage {
  /** `ocp/ubi:9`; of an image that goes to app.ci, with the host of its registry. */
  readonly target: string
  /** The tag of it in QCI, or in its destination. */
  readonly float: string
  /** The repository of QCI, unless given. Only QCI has prune tags: elsewhere the registry has a history of its own. */
  readonly destination?: Destination
  readonly source: ImageReference
  /** Of an image that the watch of all ImageStreams brings. */
  readonly distributed?: Distributed
}

export interface Distributed {
  readonly imageStreamTag: ImageStreamTag
  /** Milliseconds since the epoch at which the tag got its image. */
  readonly setAt: number | undefined
}

export interface Destination {
  readonly registry: string
  readonly repository: string
}

export interface LeftOutImage extends DesiredImage {
  /** A sentence without its end. */
  readonly reason: string
}

export interface Desired {
  readonly images: readonly DesiredImage[]
  readonly leftOut: readonly LeftOutImage[]
}

/** Those of `supplementalCIImages`. */
export const desiredImages = (config: MirrorConfig): Desired => {
  const images: DesiredImage[] = []
  const leftOut: LeftOutImage[] = []
  const circles = new Map(checkCircles(config).map(({ subject, message }) => [subject, message]))
  for (const entry of config.supplemental) {
    const image = {
      target: formatTarget(entry.target),
      float: floatTagOf(entry.target),
      source: imageOf(entry.source),
    }
    // The check of pull requests can be overridden by hand.
    const reason = circles.get(entry.subject) ?? reasonAgainst(config, entry)
    if (reason === undefined) images.push(image)
    else leftOut.push({ ...image, reason })
  }
  return { images, leftOut }
}

const reasonAgainst = ({ ignored }: MirrorConfig, { source }: SupplementalImage): string | undefined => {
  const match = ignored.find((candidate) => isSameSource(candidate.source, source))
  if (match !== undefined) return `${formatSource(source)} is ignored: ${match.reason}`
  return isFromDockerHub(imageOf(source)) ? `${formatSource(source)} is from docker.io` : undefined
}
