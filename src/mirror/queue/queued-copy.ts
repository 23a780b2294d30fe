/**
 * A copy in the queue: what it copies, and its state.
 */
import type { Digest } from '../../oci/digest.ts'
import type { ImageStreamTag } from '../names/qci-names.ts'
import type { Owner } from '../plan/owner.ts'

export interface QueuedCopy {
  /** `ocp/ubi:9`: one copy at a time for each. */
  readonly target: string
  /** As a person writes it. */
  readonly source: string
  /** As a person writes it, too. */
  readonly destination: string
  /** Milliseconds since the epoch at which the difference was seen. */
  readonly createdAt: number
  /** Copies take turns by it. */
  readonly sourceHost: string
  /** Of the source, pinned when the two sides were compared. */
  readonly digest: Digest
  readonly owner: Owner
  /** Of an image that the watch of all ImageStreams brings. */
  readonly distributed?: {
    readonly imageStreamTag: ImageStreamTag
    /** In QCI, when the two sides were compared. */
    readonly replaced: Digest | undefined
    /** Whether the image in QCI is older by more than a day. */
    readonly isStale: boolean
  }
}

/** `dead`: not tried any more, until the source changes or somebody asks for it. */
export type CopyState = 'waiting' | 'copying' | 'backing off' | 'dead'

export interface CopyStatus extends QueuedCopy {
  readonly state: CopyState
  /** Of the digest. */
  readonly failures: number
  /** A sentence; undefined before the first failure. */
  readonly lastError: string | undefined
  /** Milliseconds of the clock; undefined where none is due. */
  readonly nextTryAt: number | undefined
}
