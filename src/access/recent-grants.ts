/**
 * The namespaces and streams that opened an image for a user lately. Their reviews are sent first if a digest is in more namespaces than
 * one decision may review. A recent grant opens nothing by itself. Replicas share recent grants, because each request of a pull may reach
 * another replica.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import type { ImageStream } from '../oci/reference.ts'
import { maxReviewsPerDecision } from './reviews.ts'
import type { ClusterIdentity } from './identity.ts'

/** The grants that replicas share. Neither function rejects. */
export interface SharedGrants {
  /**
   * Resolves when other replicas can read it, or when it failed.
   * @param holder a user name  @param place a namespace, or a stream of it: `ocp/4.15`
   */
  readonly publish: (holder: string, place: string) => Promise<void>
  /** The newest first; empty if they cannot be read. */
  readonly read: (holder: string) => Promise<readonly string[]>
}

export interface RecentGrants {
  /** Resolves when other replicas can read the grant, or when that failed. */
  readonly record: (identity: ClusterIdentity, imageStream: ImageStream) => Promise<void>
  /** Reads the grants of other replicas. @returns whether any of them is new here */
  readonly lookUp: (identity: ClusterIdentity) => Promise<boolean>
  /** Whether a recent grant is of this stream, or of another stream of its namespace. */
  readonly match: (identity: ClusterIdentity, imageStream: ImageStream) => 'stream' | 'namespace' | undefined
}

const maxHolders = 10_000

export const createRecentGrants = (shared: SharedGrants): RecentGrants => {
  const recent = createBoundedCache<string, readonly string[]>(maxHolders)
  const store = (holder: string, places: readonly string[]) =>
    recent.set(holder, [...new Set(places)].slice(0, maxReviewsPerDecision))
  return {
    record: async (identity, imageStream) => {
      const [holder, place] = [holderOf(identity), placeOf(imageStream)]
      store(holder, [place, ...(recent.get(holder) ?? [])])
      await shared.publish(holder, place)
    },
    lookUp: async (identity) => {
      const holder = holderOf(identity)
      const read = await shared.read(holder)
      const before = recent.get(holder) ?? []
      const added = read.filter((place) => !before.includes(place))
      if (added.length > 0) store(holder, [...added, ...before])
      return added.length > 0
    },
    match: (identity, imageStream) => {
      const places = recent.get(holderOf(identity)) ?? []
      if (places.includes(placeOf(imageStream))) return 'stream'
      return places.some((place) => place.split('/', 1)[0] === imageStream.namespace)
        ? 'namespace'
        : undefined
    },
  }
}

/** Recent grants of this replica only. */
export const localGrants = (): RecentGrants =>
  createRecentGrants({ publish: async () => undefined, read: async () => [] })

const placeOf = ({ namespace, name }: ImageStream): string =>
  name === undefined ? namespace : `${namespace}/${name}`

/** Not the key of an identity, because a new token of the same user opens the same namespaces. */
const holderOf = ({ user: { username } }: ClusterIdentity): string => username
