/**
 * A copy in the queue: what it copies, and its state.
 */
import type { Digest } from '../../oci/digest.ts'
import type { ImageStreamTag } from '../names/qci-names.ts'
import type { Owner } from '../plan/owner.ts'

export interface QueuedCopy {
  /** `ocp/ubi:9`: a target has one copy at a time. */
  readonly target: string
  /** As people write it. */
  readonly source: string
  /** The source, as people write it. */
  readonly destination: string
  /** Milliseconds since the epoch at which the difference was seen. */
  readonly createdAt: number
  /** Copies take turns by it. */
  readonly sourceHost: string
  /** The digest of the source when the two sides were compared. */
  readonly digest: Digest
  readonly owner: Owner
  /** Only for images of the watch of all ImageStreams. */
  readonly distributed?: {
    readonly imageStreamTag: ImageStreamTag
    /** In QCI, when the two sides were compared. */
    readonly replaced: Digest | undefined
    /** Whether the image in QCI is older by more than a day. */
    readonly isStale: boolean
  }
}

/** `dead`: not tried again until the source changes or somebody requests a sync. */
export type CopyState = 'waiting' | 'copying' | 'backing off' | 'dead'

export interface CopyStatus extends QueuedCopy {
  readonly state: CopyState
  /** Failed tries of this digest. */
  readonly failures: number
  /** A sentence; undefined before the first failure. */
  readonly lastError: string | undefined
  /** Milliseconds of the clock; undefined if no try is scheduled. */
  readonly nextTryAt: number | undefined
}
