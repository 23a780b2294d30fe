/**
 * What a fact is, and all facts of a replica: for its next start, and for a store that has lost some.
 */
import type { Digest, QciTag } from '../oci/reference.ts'
import type { ManifestChildren } from './manifest-names.ts'
import { maxDepth } from './propagation.ts'
import { openLifeMs } from './sightings.ts'

/** A tag gave a manifest, or a manifest names other content. The replica that publishes a fact has verified it. */
export type Fact =
  | {
      readonly kind: 'tag'
      readonly tag: QciTag
      readonly digest: Digest
      /** Milliseconds since the epoch. */
      readonly seenAt: number
      readonly isRestricted: boolean
    }
  | {
      readonly kind: 'names'
      readonly manifest: Digest
      readonly manifests: readonly Digest[]
      readonly blobs: readonly Digest[]
      readonly isRestricted: boolean
    }

/** The newest fact about a tag. */
export interface SeenTag {
  readonly digest: Digest
  readonly seenAt: number
}

export interface SnapshotSources {
  /** By tag and digest, with a space between them. */
  readonly restricted: Iterable<readonly [string, SeenTag]>
  readonly open: Iterable<readonly [string, SeenTag]>
  /** Manifests whose children were published, and when. The last published comes first. */
  readonly published: Iterable<readonly [Digest, { readonly at: number }]>
  readonly childrenOf: (digest: Digest) => ManifestChildren | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** Manifests that no tag reaches, in one snapshot: about 25 MB. */
const maxUntagged = 50_000

/** Restricted facts come first. */
export function* snapshotOf(sources: SnapshotSources): Generator<Fact> {
  const visited = new Set<Digest>()
  yield* tagsOf(sources, true, visited)
  yield* tagsOf(sources, false, visited)
  yield* untagged(sources, visited)
}

function* tagsOf(sources: SnapshotSources, closes: boolean, visited: Set<Digest>): Generator<Fact> {
  // Facts are recorded while the caller reads this snapshot.
  const copy = Array.from(closes ? sources.restricted : sources.open)
  for (const [key, { digest, seenAt }] of copy) {
    const tag = key.slice(0, key.indexOf(' ')) as QciTag
    yield { kind: 'tag', tag, digest, seenAt, isRestricted: closes }
    yield* namesBelow(sources, { digest, closes, visited, depth: maxDepth })
  }
}

interface Below {
  readonly digest: Digest
  readonly closes: boolean
  readonly visited: Set<Digest>
  readonly depth: number
}

function* namesBelow(sources: SnapshotSources, below: Below): Generator<Fact> {
  const { digest, closes, visited, depth } = below
  const names = depth === 0 || visited.has(digest) ? undefined : sources.childrenOf(digest)
  if (names === undefined) return
  visited.add(digest)
  yield { kind: 'names', manifest: digest, ...names, isRestricted: closes }
  for (const child of names.manifests)
    yield* namesBelow(sources, { ...below, digest: child, depth: depth - 1 })
}

/**
 * What manifests name that no tag reaches, and that were pulled within a day. A client whose pull goes on after a restart requests blobs that
 * only such a manifest names. The names open what they opened before: no tag reaches the manifest, here or there.
 */
function* untagged(
  { published, childrenOf, now }: SnapshotSources,
  visited: ReadonlySet<Digest>,
): Generator<Fact> {
  const manifests = Array.from(published).filter(
    ([digest, { at }]) => now - at < openLifeMs && !visited.has(digest),
  )
  for (const [manifest] of manifests.slice(0, maxUntagged)) {
    const names = childrenOf(manifest)
    if (names !== undefined) yield { kind: 'names', manifest, ...names, isRestricted: false }
  }
}
