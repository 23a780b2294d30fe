/**
 * Adds the images of the watch of all ImageStreams to those of the configuration. The configuration has precedence, so that each tag in QCI
 * has one writer.
 */
import { noImage, pinnedDigest, type StreamTag } from '../app-ci/current-images.ts'
import { appCiRegistry, formatSource, type MirrorConfig } from '../config/mirror-config.ts'
import { floatTagOf, formatTarget, type ImageStreamTag } from '../names/qci-names.ts'
import type { Desired, DesiredImage, LeftOutImage } from '../plan/desired.ts'
import { reasonAgainstFloat } from '../validation/targets.ts'
import type { StreamTags } from './stream-tags.ts'

export type StreamEntries = Iterable<readonly [stream: string, tags: StreamTags]>

/** @param listed of the configuration. @param streams by `namespace/name` */
export const withDistributed = (config: MirrorConfig, listed: Desired, streams: StreamEntries): Desired => {
  const images: DesiredImage[] = [...listed.images]
  const leftOut: LeftOutImage[] = [...listed.leftOut]
  const rules = new Rules(config, listed)
  for (const [stream, tags] of streams) {
    const [namespace = '', name = ''] = stream.split('/')
    for (const [tag, streamTag] of tags) {
      const image = desiredOf({ namespace, name, tag }, streamTag)
      const reason = rules.reasonAgainst(image, { namespace, name, tag }, streamTag)
      if (reason === undefined) images.push(image)
      else leftOut.push({ ...image, reason })
    }
  }
  return { images, leftOut }
}

const desiredOf = (imageStreamTag: ImageStreamTag, { image, setAt }: StreamTag): DesiredImage => {
  const digest = pinnedDigest(image)
  return {
    target: formatTarget(imageStreamTag),
    float: floatTagOf(imageStreamTag),
    source: {
      registry: appCiRegistry,
      repository: `${imageStreamTag.namespace}/${imageStreamTag.name}`,
      tag: digest === undefined ? imageStreamTag.tag : undefined,
      digest,
    },
    distributed: { imageStreamTag, setAt },
  }
}

class Rules {
  /** By float, and by target. */
  readonly #taken: ReadonlyMap<string, string>
  readonly #backfilled: ReadonlyMap<string, string>
  readonly #ignored: ReadonlyMap<string, string>

  constructor({ appCi, ignored }: MirrorConfig, { images, leftOut }: Desired) {
    const intoQci = [...images, ...leftOut].filter(({ destination }) => destination === undefined)
    this.#taken = new Map(intoQci.map(({ float, target }) => [float, target]))
    this.#backfilled = new Map(appCi.map(({ target, subject }) => [formatTarget(target), subject]))
    this.#ignored = new Map(ignored.map(({ source, reason }) => [formatSource(source), reason]))
  }

  /** A sentence without its full stop. */
  reasonAgainst(
    { target, float }: DesiredImage,
    imageStreamTag: ImageStreamTag,
    { image }: StreamTag,
  ): string | undefined {
    const taken = this.#taken.get(float)
    if (taken !== undefined)
      return `the configuration has ${taken === target ? 'it' : `${taken} with the same tag in QCI`}, which wins`
    const backfilled = this.#backfilled.get(target)
    // It would be copied from QCI to app.ci and back, again and again.
    if (backfilled !== undefined) return `${backfilled} copies it the other way, which wins`
    const source = formatSource({ kind: 'image-stream-tag', imageStreamTag })
    const ignored = this.#ignored.get(source)
    if (ignored !== undefined) return `${source} is ignored: ${ignored}`
    return image === 'none' ? noImage(target) : reasonAgainstFloat(imageStreamTag)
  }
}
