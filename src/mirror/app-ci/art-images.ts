/**
 * The images of ART: tags of ImageStreams that the patterns of `artImages` match. Each goes into QCI under its own name.
 */
import {
  appCiRegistry,
  formatSource,
  isSameSource,
  type ArtImages,
  type MirrorConfig,
} from '../config/mirror-config.ts'
import { floatTagOf, formatTarget, type ImageStreamTag } from '../names/qci-names.ts'
import type { Desired, DesiredImage, LeftOutImage } from '../plan/desired.ts'
import { reasonAgainstFloat } from '../validation/targets.ts'
import { noImage, pinnedDigest, type CurrentImage } from './current-images.ts'
import type { StreamImages } from './stream-lists.ts'

/** The images are in the order of the configuration, then of the lists. @param streams the ImageStreams that `selectorsOf` names */
export const artImages = (config: MirrorConfig, streams: StreamImages): Desired => {
  const images: DesiredImage[] = []
  const leftOut: LeftOutImage[] = []
  const floats = new Map<string, string>()
  for (const { imageStreamTag, current } of matchesOf(config.art, streams)) {
    const image = desiredOf(imageStreamTag, current)
    const other = floats.get(image.float)
    // Two patterns may match one tag.
    if (other === image.target) continue
    const reason =
      reasonAgainst(config, imageStreamTag, current) ??
      (other === undefined ? undefined : `${other} has the same tag in QCI, ${image.float}`)
    floats.set(image.float, other ?? image.target)
    if (reason === undefined) images.push(image)
    else leftOut.push({ ...image, reason })
  }
  return { images, leftOut }
}

interface Match {
  readonly imageStreamTag: ImageStreamTag
  readonly current: CurrentImage
}

function* matchesOf(art: readonly ArtImages[], streams: StreamImages): Generator<Match, void> {
  for (const { namespace, name: pattern, tag: tagPattern } of art)
    for (const [key, tags] of streams) {
      const [streamNamespace, name = ''] = key.split('/')
      if (streamNamespace !== namespace || !pattern.matches(name)) continue
      for (const [tag, current] of tags)
        if (tagPattern?.matches(tag) ?? true) yield { imageStreamTag: { namespace, name, tag }, current }
    }
}

/** Pinned if the digest is known, so that the registry of app.ci gets no request for an unchanged image. */
const desiredOf = (imageStreamTag: ImageStreamTag, current: CurrentImage): DesiredImage => ({
  target: formatTarget(imageStreamTag),
  float: floatTagOf(imageStreamTag),
  source: {
    registry: appCiRegistry,
    repository: `${imageStreamTag.namespace}/${imageStreamTag.name}`,
    tag: imageStreamTag.tag,
    digest: pinnedDigest(current),
  },
})

const reasonAgainst = (
  { ignored, supplemental, appCi }: MirrorConfig,
  imageStreamTag: ImageStreamTag,
  current: CurrentImage,
): string | undefined => {
  const source = { kind: 'image-stream-tag', imageStreamTag } as const
  const match = ignored.find((candidate) => isSameSource(candidate.source, source))
  if (match !== undefined) return `${formatSource(source)} is ignored: ${match.reason}`
  const target = formatTarget(imageStreamTag)
  const float = floatTagOf(imageStreamTag)
  // Each tag has one writer. With two, the image would be copied from QCI to app.ci and back, again and again.
  const other =
    supplemental.find((entry) => floatTagOf(entry.target) === float) ??
    appCi.find((entry) => formatTarget(entry.target) === target)
  if (other !== undefined) return `${other.subject} names it, which wins`
  return current === 'none' ? noImage(target) : reasonAgainstFloat(imageStreamTag)
}
