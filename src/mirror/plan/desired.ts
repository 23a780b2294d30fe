/**
 * The images that QCI should have according to the configuration, and the images that are left out, each with the reason.
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
import { refusedEntries } from '../validation/refused-entries.ts'
import { isFromDockerHub } from '../validation/sources.ts'

export interface DesiredImage {
  /** `ocp/ubi:9`; an image for app.ci has the host of the registry before it. */
  readonly target: string
  /** Its tag in QCI, or in its destination. */
  readonly float: string
  /** QCI unless given. Only QCI has prune tags: the registry of app.ci keeps a history itself. */
  readonly destination?: Destination
  readonly source: ImageReference
  /** Only for images of the watch of all ImageStreams. */
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
  /** A sentence without its full stop. */
  readonly reason: string
}

export interface Desired {
  readonly images: readonly DesiredImage[]
  readonly leftOut: readonly LeftOutImage[]
}

/** The images of `supplementalCIImages`. */
export const desiredImages = (config: MirrorConfig): Desired => {
  const images: DesiredImage[] = []
  const leftOut: LeftOutImage[] = []
  const refused = refusedEntries(config)
  for (const entry of config.supplemental) {
    const image = {
      target: formatTarget(entry.target),
      float: floatTagOf(entry.target),
      source: imageOf(entry.source),
    }
    const reason = refused.get(entry.subject) ?? reasonAgainst(config, entry)
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
