/**
 * The state that replicas share: facts, the state of the walk, rate limits, failed logins and recent grants. There are two implementations:
 * store-state.ts in Valkey or Redis, embedded-state.ts in this process.
 *
 * No function throws, or makes a request wait longer than a deadline. If the store is unavailable, each replica works with the facts that
 * it has, and `status` reports that.
 */
import type { SharedGrants } from '../access/recent-grants.ts'
import type { Rate, TokenBucket } from '../concurrency/token-bucket.ts'
import type { Fact } from '../digests/facts.ts'
import type { SharedIndex } from '../digests/restricted-index/index-state.ts'

export interface SharedFacts {
  /**
   * Resolves when the store has the facts, or at the deadline (250 ms; at once while the store is unavailable). Facts that could not be
   * stored are kept and sent later. Never rejects.
   */
  readonly publish: (facts: readonly Fact[]) => Promise<void>
  /**
   * True: everything that others published before this call has been applied. False: the store is unavailable or slow (250 ms), or this
   * replica has not loaded everything yet. Never rejects. Concurrent callers share one read that began after they called.
   */
  readonly catchUp: () => Promise<boolean>
  /**
   * Whether a refusal may rely on the facts, after `catchUp`. False while others may have unsent facts: the store takes no writes, or was
   * unavailable or emptied a moment ago.
   */
  readonly isCertain: () => boolean
}

/** A charge for a failed login: the network that pays, and what else the listener needs. */
export type LoginCharge = Readonly<Record<string, string | number>>

export interface FailedLogins {
  /** Publishes to the other replicas about 50 charges a second of 256 bytes of JSON each at most; further ones are dropped. */
  readonly publish: (charge: LoginCharge) => void
  /** Called for each charge of another replica. */
  readonly onCharge: (listener: (charge: LoginCharge) => void) => void
}

export interface SharedStatus {
  readonly state: 'embedded' | 'connected' | 'unavailable'
  /** Milliseconds since the last change of the state. */
  readonly sinceMs: number
  /** Why the store is unavailable, or why a connected store takes no writes. */
  readonly reason?: string
  /** The last known number of live replicas, this one included; 1 or more. */
  readonly replicas: number
  /** All facts of the store were applied since this replica first connected. */
  readonly isLoaded: boolean
}

export interface SharedState {
  readonly facts: SharedFacts
  readonly index: SharedIndex
  /** One bucket for all replicas; each name has one rate. */
  readonly tokenBucket: (name: string, rate: Rate) => TokenBucket
  readonly failedLogins: FailedLogins
  readonly grants: SharedGrants
  readonly status: () => SharedStatus
  /** Applies the state directory and connects. @throws {Error} if the directory is in use */
  readonly start: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface SharedStateOptions {
  /** Called with facts of other replicas, in order, and with facts of the state directory. Must not throw. */
  readonly apply: (facts: readonly Fact[]) => void
  /** All facts of this replica: published again if the store has lost facts, and stored in the state directory. */
  readonly snapshot: () => Iterable<Fact>
  /** Whether the snapshot lacks facts that close. Then no state of the walk is stored with it, so that the next start walks anew. */
  readonly hasForgotten?: () => boolean
  /** The number of replicas until the store has counted them. */
  readonly replicas?: number
  /** Directory that stores facts and the state of the walk for a restart. */
  readonly stateDir?: string
  /** Called once for each change of state or reason. */
  readonly onChange?: (status: SharedStatus) => void
  /** Other messages for the operator: a file that is not used, content of the store that is no fact. */
  readonly onWarning?: (message: string) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
  /** Milliseconds since the epoch. */
  readonly wallClock?: () => number
}
