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
  readonly read: () => Promise<IndexState | undefined>
  readonly write: (state: IndexState) => Promise<unknown>
  /** True while this replica is the one that walks. */
  readonly tryLead: () => Promise<boolean>
}
