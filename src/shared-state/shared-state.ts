/**
 * What replicas of the proxy share, as the rest of the program sees it. Two implementations: store-state.ts keeps it in Valkey or
 * Redis, embedded-state.ts in this process.
 *
 * Nothing here throws or makes a request wait for longer than a deadline: a store that is away leaves each replica alone with what
 * it knows, and `status` says so.
 */
import type { SharedGrants } from '../access/recent-grants.ts'
import type { Rate, TokenBucket } from '../concurrency/token-bucket.ts'
import type { Fact } from '../digests/facts.ts'
import type { SharedIndex } from '../digests/restricted-index/index-state.ts'

export interface SharedFacts {
  /**
   * Resolves once the store has them, or it is clear that it will not in time (250 ms; at once while the store is away). Facts that
   * could not be stored are kept and sent later. Never rejects.
   */
  readonly publish: (facts: readonly Fact[]) => Promise<void>
  /**
   * True: everything that others published before this call has been applied. False: the store is away, slow (250 ms), or this
   * replica has not loaded everything yet. Never rejects. Callers at the same time share one read that began after they called.
   */
  readonly catchUp: () => Promise<boolean>
  /**
   * Whether a refusal may rest on it, once caught up. False where others may know what they could not tell: the store takes no writes,
   * or was away or emptied a moment ago.
   */
  readonly isCertain: () => boolean
}

/** A charge for a failed login: whom it counts against, and whatever else the counting side needs. */
export type LoginCharge = Readonly<Record<string, string | number>>

export interface FailedLogins {
  /** Tells the other replicas. At most some 50 a second are told, 256 bytes of JSON each; what is beyond is dropped. */
  readonly publish: (charge: LoginCharge) => void
  /** Called for each charge of another replica. */
  readonly onCharge: (listener: (charge: LoginCharge) => void) => void
}

export interface SharedStatus {
  readonly state: 'embedded' | 'connected' | 'away'
  /** Milliseconds for which it has been in that state. */
  readonly sinceMs: number
  /** Why it is away, or why it takes no writes though connected. */
  readonly reason?: string
  /** Live replicas as last known, this one included; 1 or more. */
  readonly replicas: number
  /** Everything that the store holds has been applied since this replica first connected. */
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
  /** Applies what the state directory holds, connects, and goes on until closed. @throws {Error} where the directory is in use */
  readonly start: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface SharedStateOptions {
  /** Called for what others have published, in order; and for what was kept over a restart. Must not throw. */
  readonly apply: (facts: readonly Fact[]) => void
  /** What this replica knows: published again where the store has lost it, and kept in the state directory. */
  readonly snapshot: () => Iterable<Fact>
  /** Replicas where the store has not told how many there are. */
  readonly replicas?: number
  /** Where facts and the state of the walk outlive this process. */
  readonly stateDir?: string
  /** Called once for each change of state or reason. */
  readonly onChange?: (status: SharedStatus) => void
  /** What an operator has to know besides: a file that is not used, content of the store that cannot be read. */
  readonly onWarning?: (message: string) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number
}
