/**
 * How far the restricted index has come: shared by replicas and kept over a restart, so that a new one need not walk.
 */
export interface IndexState {
  /** Milliseconds since the epoch when every live tag of restricted namespaces was followed; undefined: not yet. */
  readonly liveCompleteAt: number | undefined
  /** The same for dated copies, and for what is attached to restricted digests. */
  readonly datedCompleteAt: number | undefined
  /** The last dated tag that was looked at. */
  readonly datedSeenUpTo: string
  /** Restricted namespaces that have tags in QCI. */
  readonly namespaces: readonly string[]
}

export const nothingIndexed: IndexState = {
  liveCompleteAt: undefined,
  datedCompleteAt: undefined,
  datedSeenUpTo: '',
  namespaces: [],
}

/** Where the state is kept, and who walks. */
export interface SharedIndex {
  /** Undefined where it is not known, or where restricted facts were lost since it was written: walk again then. */
  readonly read: () => Promise<IndexState | undefined>
  /**
   * Counts only from the replica that leads, and when others can know everything that this replica published before: else a fresh
   * replica would believe in facts that nobody told it. @returns whether it is kept; try again later where not
   */
  readonly write: (state: IndexState) => Promise<boolean>
  /**
   * True while this replica holds the lease of the walk. Ask again before each step: a holder that lost contact is told false before
   * its lease ends. Always true where there is one replica alone.
   */
  readonly tryLead: () => Promise<boolean>
}
