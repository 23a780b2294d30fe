/**
 * A quay of QCI's size, for tests and the benchmark: a million tags in seconds and some hundred megabytes. Open tags all lead to one
 * image; each restricted one to a tiny image of its own, made when it is asked for, on a layer that the open image has too.
 */
import { buildTinyImage } from '../../../src/sandbox/quay/artifacts.ts'
import type { CollationName } from '../../../src/sandbox/quay/collation.ts'
import type { Content } from '../../../src/sandbox/quay/descriptors.ts'
import { startQuay, type Quay, type QuayOptions } from '../../../src/sandbox/quay/quay.ts'

export interface LargeQuayOptions extends Pick<
  QuayOptions,
  'repository' | 'robot' | 'limits' | 'keepRequests'
> {
  /** All tags; 1,000,000 unless given. */
  readonly tags?: number
  /** Of these, live tags of restricted namespaces; 5,000 unless given. */
  readonly restrictedLive?: number
  /** And dated copies of restricted images, of both families; 20,000 unless given. */
  readonly restrictedDated?: number
  readonly collation?: CollationName
}

export interface LargeQuay {
  readonly quay: Quay
  /** Each lives in a tag of its own content. */
  readonly restricted: { readonly live: readonly string[]; readonly dated: readonly string[] }
  /** What a tag of `restricted` leads to. */
  readonly contentOf: (tag: string) => Content
  /** What every other tag leads to. */
  readonly open: Content
}

/** As on app.ci; a few of them hold most. */
const restrictedNamespaces = [
  'ocp-priv',
  'ocp-private',
  'ocp-arm64-priv',
  'ci-release-priv',
  'openshift-priv',
]
const openNamespaces = [
  'ocp',
  'origin',
  'ci',
  'ocp-arm64',
  'openshift',
  'ocp-multi',
  'ci-ln',
  'test-credentials',
]

const sharedLayer = Buffer.from('the layer below all')
const second = 1000
const firstDate = Date.UTC(2024, 0, 1)

const dateOf = (index: number): string =>
  new Date(firstDate + index * 37 * second).toISOString().replaceAll(/\D/g, '').slice(0, 14)

const liveTag = (namespaces: readonly string[], index: number): string =>
  `${namespaces[index % namespaces.length]}_4.${index % 24}-art_component-${index}`

/** @param when place in time */
const datedTag = (namespaces: readonly string[], index: number, when = index): string =>
  `${dateOf(when)}_prune_${index % 2 === 0 ? '' : '__ci_images_mirror__'}${liveTag(namespaces, index)}`

const times = (count: number, make: (index: number) => string): readonly string[] =>
  Array.from({ length: count }, (_, index) => make(index))

/** As in QCI, two thirds of the open tags are dated copies. */
function* openTags(count: number): Generator<string> {
  for (let index = 0; index < count; index++)
    yield index % 3 === 0 ? liveTag(openNamespaces, index) : datedTag(openNamespaces, index)
}

export const createLargeQuay = async (options: LargeQuayOptions): Promise<LargeQuay> => {
  const { tags = 1_000_000, restrictedLive = 5000, restrictedDated = 20_000, ...rest } = options
  const quay = await startQuay(rest)
  const spread = Math.max(1, Math.floor(tags / Math.max(1, restrictedDated)))
  const restricted = {
    live: times(restrictedLive, (index) => liveTag(restrictedNamespaces, index)),
    // All over the years, not in one stretch.
    dated: times(restrictedDated, (index) => datedTag(restrictedNamespaces, index, index * spread)),
  }
  const contentOf = (tag: string): Content => buildTinyImage({ name: tag, base: [sharedLayer] })
  const open = buildTinyImage({ name: 'every open image', base: [sharedLayer] })
  quay.tagLazily([...restricted.live, ...restricted.dated], contentOf)
  quay.tagMany(openTags(tags - restrictedLive - restrictedDated), open)
  return { quay, restricted, contentOf, open }
}
