/**
 * Which ImageStreams to list: as few as the configuration needs, because a list of the whole namespace `ocp` has hundreds of megabytes.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import { formatTarget, type ImageStreamTag } from '../names/qci-names.ts'
import { isOfArt } from '../validation/collisions.ts'
import type { StreamSelector } from './stream-lists.ts'

export const selectorsOf = (config: MirrorConfig): readonly StreamSelector[] => {
  const { art, supplemental } = config
  const selectors = [
    ...art.map(({ namespace, name }) => ({ namespace, name: exactName(name.text) })),
    ...supplemental.flatMap(({ source }) =>
      source.kind === 'image-stream-tag' ? [source.imageStreamTag] : [],
    ),
  ]
  const whole = new Set(selectors.filter(({ name }) => name === undefined).map(({ namespace }) => namespace))
  const single = selectors.filter(({ namespace }) => !whole.has(namespace))
  const byName = new Map(single.map(({ namespace, name }) => [`${namespace}/${name}`, { namespace, name }]))
  const namespaces = [...whole].map((namespace): StreamSelector => ({ namespace }))
  return [...namespaces, ...byName.values()].map((selector) => ({
    ...selector,
    keeps: (name, tag) => isNeeded(config, { namespace: selector.namespace, name, tag }),
  }))
}

const isNeeded = ({ art, supplemental }: MirrorConfig, imageStreamTag: ImageStreamTag): boolean =>
  art.some((images) => isOfArt(images, imageStreamTag)) ||
  supplemental.some(
    ({ source }) =>
      source.kind === 'image-stream-tag' &&
      formatTarget(source.imageStreamTag) === formatTarget(imageStreamTag),
  )

/** The only name that a pattern such as `^release$` matches; undefined if other names may match. */
const exactName = (pattern: string): string | undefined =>
  /^\^((?:[a-z0-9_-]|\\\.)+)\$$/.exec(pattern)?.[1]?.replaceAll('\\.', '.')
