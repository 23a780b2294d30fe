/**
 * A manifest that nobody can parse. The proxy serves it to nobody, but upstream serves its layers to everybody who knows their digests. So
 * under a restricted tag it closes everything that its text mentions. It never opens anything: a parser may read less in it.
 */
import type { Digest, QciTag } from '../oci/reference.ts'
import type { Facts } from './facts.ts'
import type { ReachGraph } from './reach-graph.ts'
import { isRestricted, type Location } from './sightings.ts'

export interface UnreadableOptions {
  readonly facts: Pick<Facts, 'record'>
  readonly graph: Pick<ReachGraph, 'reachOf'>
  readonly locate: (tag: QciTag) => Location
}

/** The mentions that may be manifests: as many as a manifest may name. Each of them is fetched once, to close what is below it. */
const maxFollowed = 2000

/** @param tag undefined for a request by digest  @param mentioned every digest in its text */
export const createRecordUnreadable =
  ({ facts, graph, locate }: UnreadableOptions) =>
  async (tag: QciTag | undefined, digest: Digest, mentioned: readonly Digest[]): Promise<void> => {
    const closes = tag === undefined ? graph.reachOf(digest).isRestricted : closesBy(locate(tag), graph)
    if (!closes) return
    const others = mentioned.filter((one) => one !== digest)
    await facts.record(tag, digest, {
      manifests: others.slice(0, maxFollowed),
      blobs: others.slice(maxFollowed),
    })
  }

const closesBy = (location: Location, graph: UnreadableOptions['graph']): boolean =>
  location.by === 'digest' ? graph.reachOf(location.digest).isRestricted : isRestricted(location)
