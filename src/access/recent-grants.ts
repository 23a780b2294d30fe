/**
 * Where somebody was let in lately: which reviews to ask for first, where a digest is in more namespaces than one decision asks for. It
 * opens nothing: every yes is a review of now. Told to other replicas, since each request of a pull may go to another one.
 */
import { LRUCache } from 'lru-cache'
import type { ImageStream } from '../oci/reference.ts'
import { maxReviewsPerDecision } from './decision.ts'
import type { ClusterIdentity } from './identity.ts'

/** Where the grants of somebody are told to other replicas, and read. Neither rejects. */
export interface SharedGrants {
  /**
   * Resolves once others can know it, or it is clear that they will not in time.
   * @param holder their name  @param place a namespace, or a stream of it: `ocp/4.15`
   */
  readonly publish: (holder: string, place: string) => Promise<void>
  /** The newest first; none where they cannot be had. */
  readonly read: (holder: string) => Promise<readonly string[]>
}

export interface RememberedGrants {
  /** Resolves once other replicas can know it, or will not in time. */
  readonly record: (identity: ClusterIdentity, imageStream: ImageStream) => Promise<void>
  /** Asks what other replicas know. @returns whether there is any that was not known here */
  readonly lookUp: (identity: ClusterIdentity) => Promise<boolean>
  /** Whether they were let into this stream, or into another one of its namespace. */
  readonly holds: (identity: ClusterIdentity, imageStream: ImageStream) => 'stream' | 'namespace' | undefined
}

const maxHolders = 10_000

export const createRememberedGrants = (shared: SharedGrants): RememberedGrants => {
  const known = new LRUCache<string, readonly string[]>({ max: maxHolders })
  const keep = (holder: string, places: readonly string[]) =>
    known.set(holder, [...new Set(places)].slice(0, maxReviewsPerDecision))
  return {
    record: async (identity, imageStream) => {
      const [holder, place] = [holderOf(identity), placeOf(imageStream)]
      keep(holder, [place, ...(known.get(holder) ?? [])])
      await shared.publish(holder, place)
    },
    lookUp: async (identity) => {
      const holder = holderOf(identity)
      const told = await shared.read(holder)
      const before = known.get(holder) ?? []
      const news = told.filter((place) => !before.includes(place))
      if (news.length > 0) keep(holder, [...news, ...before])
      return news.length > 0
    },
    holds: (identity, imageStream) => {
      const places = known.get(holderOf(identity)) ?? []
      if (places.includes(placeOf(imageStream))) return 'stream'
      return places.some((place) => place.split('/', 1)[0] === imageStream.namespace)
        ? 'namespace'
        : undefined
    },
  }
}

/** Told to no other replica. */
export const localGrants = (): RememberedGrants =>
  createRememberedGrants({ publish: async () => undefined, read: async () => [] })

const placeOf = ({ namespace, name }: ImageStream): string =>
  name === undefined ? namespace : `${namespace}/${name}`

/** Not the key of an identity: a new token of the same account is let into the same namespaces. */
const holderOf = ({ user: { username } }: ClusterIdentity): string => username
