/**
 * Which ImageStreams the configuration needs. The fewest that can be listed: a list of the namespace `ocp` has hundreds of megabytes.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import type { StreamSelector } from './stream-lists.ts'

export const selectorsOf = ({ art, supplemental }: MirrorConfig): readonly StreamSelector[] => {
  const selectors = [
    ...art.map(({ namespace, name }) => ({ namespace, name: exactName(name.text) })),
    ...supplemental.flatMap(({ source }) =>
      source.kind === 'image-stream-tag' ? [source.imageStreamTag] : [],
    ),
  ]
  const whole = new Set(selectors.filter(({ name }) => name === undefined).map(({ namespace }) => namespace))
  const single = selectors.filter(({ namespace }) => !whole.has(namespace))
  const byName = new Map(single.map(({ namespace, name }) => [`${namespace}/${name}`, { namespace, name }]))
  return [...[...whole].map((namespace) => ({ namespace })), ...byName.values()]
}

/** The only name that a pattern such as `^release$` matches; undefined where there may be others. */
const exactName = (pattern: string): string | undefined =>
  /^\^((?:[a-z0-9_-]|\\\.)+)\$$/.exec(pattern)?.[1]?.replaceAll('\\.', '.')
