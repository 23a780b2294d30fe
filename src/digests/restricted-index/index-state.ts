/**
 * The progress of the restricted index. Replicas share it and store it for a restart, so that a new replica need not walk.
 */
export interface IndexState {
  /** When every live tag of restricted namespaces was followed, in milliseconds since the epoch; undefined: not yet. */
  readonly liveCompleteAt: number | undefined
  /** The same for dated copies, and for content that is attached to restricted digests. */
  readonly datedCompleteAt: number | undefined
  /** The last dated tag that was read. */
  readonly datedSeenUpTo: string
  /** Restricted namespaces that have tags in QCI. */
  readonly namespaces: readonly string[]
  /** Upstream has a restricted tag, or a manifest below one, that could not be read, so that what it names is not known. */
  readonly hasUnread?: boolean
  /** The patterns of restricted namespaces that the walk followed. Another replica, or the next start, may have other ones. */
  readonly patterns?: string
}

export const nothingIndexed: IndexState = {
  liveCompleteAt: undefined,
  datedCompleteAt: undefined,
  datedSeenUpTo: '',
  namespaces: [],
}

/** The shared state of the index, and the lease of the replica that walks. */
export interface SharedIndex {
  /** Undefined if there is none, or if restricted facts were lost since it was written: then walk again. */
  readonly read: () => Promise<IndexState | undefined>
  /**
   * Has an effect only from the leading replica, and only if others can read everything that it published before: otherwise a new replica
   * would rely on facts that it does not have. @returns whether the state was stored; if not, try again later
   */
  readonly write: (state: IndexState) => Promise<boolean>
  /**
   * True while this replica holds the lease of the walk. To be called before each step: for a holder without a connection it is false before
   * the lease ends. Always true for a single replica.
   */
  readonly tryLead: () => Promise<boolean>
}
