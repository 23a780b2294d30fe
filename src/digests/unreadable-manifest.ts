/**
 * A manifest that cannot be parsed. The proxy does not serve it, but upstream serves its layers to everybody who knows their digests. So
 * under a restricted tag, it closes every digest in its text. It never opens a digest, because another parser may read fewer digests in it.
 *
 * Attack: tens of thousands of digests in one text evict the names of other restricted images, and are too many for a fact that replicas
 * share. So such a manifest closes none by name. Its names stay unknown, and the restricted index counts it as unread.
 */
import { maxDescriptors } from '../oci/manifest.ts'
import type { Digest, QciTag } from '../oci/reference.ts'
import type { Facts } from './facts.ts'
import type { ReachGraph } from './reach-graph.ts'
import { isRestricted, type Location } from './sightings.ts'

export interface UnreadableOptions {
  readonly facts: Pick<Facts, 'record'>
  readonly graph: Pick<ReachGraph, 'reachOf'>
  readonly locate: (tag: QciTag) => Location
}

/** As many as in a manifest that can be parsed. Each is tried as a manifest once, to close everything below it. */
const maxMentions = maxDescriptors

/**
 * @param tag undefined for a request by digest
 * @param mentions every digest in its text. Attack: to search four megabytes takes a while, so they are searched only if they close something
 */
export const createRecordUnreadable =
  ({ facts, graph, locate }: UnreadableOptions) =>
  async (tag: QciTag | undefined, digest: Digest, mentions: () => readonly Digest[]): Promise<void> => {
    const closes = tag === undefined ? graph.reachOf(digest).isRestricted : closesBy(locate(tag), graph)
    if (!closes) return
    const others = mentions().filter((one) => one !== digest)
    await facts.record(
      tag,
      digest,
      others.length > maxMentions ? undefined : { manifests: others, blobs: [] },
    )
  }

const closesBy = (location: Location, graph: UnreadableOptions['graph']): boolean =>
  location.by === 'digest' ? graph.reachOf(location.digest).isRestricted : isRestricted(location)
