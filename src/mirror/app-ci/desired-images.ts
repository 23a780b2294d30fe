/**
 * All images to copy, from all sections of the configuration: external images and images of ART go into QCI, and images of QCI go to
 * app.ci.
 */
import { appCiRegistry, type MirrorConfig } from '../config/mirror-config.ts'
import { desiredImages, type Desired, type DesiredImage, type LeftOutImage } from '../plan/desired.ts'
import { artImages } from './art-images.ts'
import { backfillImages } from './backfill-images.ts'
import { noImage, pinnedDigest, type CurrentImage } from './current-images.ts'
import type { StreamImages } from './stream-lists.ts'

/** @param streams the ImageStreams that `selectorsOf` names */
export const allDesiredImages = (config: MirrorConfig, streams: StreamImages): Desired => {
  const all = [pinned(desiredImages(config), streams), artImages(config, streams), backfillImages(config)]
  return {
    images: all.flatMap(({ images }) => images),
    leftOut: all.flatMap(({ leftOut }) => leftOut),
  }
}

/** Sources that are tags of an ImageStream, with the digests that the ImageStreams say. */
export const pinned = (desired: Desired, streams: StreamImages): Desired => {
  const images: DesiredImage[] = []
  const leftOut: LeftOutImage[] = [...desired.leftOut]
  for (const image of desired.images) {
    const current = currentOf(image, streams)
    // If an ImageStream or a tag does not exist, the registry reports it later.
    if (current === undefined) images.push(image)
    else if (current === 'none')
      leftOut.push({ ...image, reason: noImage(`${image.source.repository}:${image.source.tag}`) })
    else images.push({ ...image, source: { ...image.source, digest: pinnedDigest(current) } })
  }
  return { images, leftOut }
}

const currentOf = ({ source }: DesiredImage, streams: StreamImages): CurrentImage | undefined => {
  const { registry, repository, tag, digest } = source
  if (registry !== appCiRegistry || digest !== undefined) return undefined
  return streams.get(repository)?.get(`${tag}`)
}
