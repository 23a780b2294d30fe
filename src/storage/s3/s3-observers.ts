/**
 * What the S3 tier tells of itself, for metrics and the log.
 */
import type { EntryKind } from '../cache-directory.ts'

export type S3Operation = 'get' | 'head' | 'delete'
/** `found`: answered with it, or done. `circuit-open`: not sent. `cancelled`: its client left. */
export type S3Outcome = 'found' | 'absent' | 'refused' | 'failed' | 'circuit-open' | 'cancelled'
/** `present`: S3 had it. `gone`: the disk does not have it any more. `dropped`: too many waited. `unreadable`: not what the disk should have. */
export type UploadOutcome = 'stored' | 'present' | 'gone' | 'dropped' | 'failed' | 'refused' | 'cancelled'
export type CorruptObject = 'size' | 'digest'

export interface S3Observers {
  /** @param error for the log, in words that hold no secret */
  readonly request: (operation: S3Operation, outcome: S3Outcome, error?: string) => void
  readonly uploaded: (kind: EntryKind, outcome: UploadOutcome, bytes: number, error?: string) => void
  readonly corrupt: (kind: EntryKind, why: CorruptObject) => void
  readonly circuit: (isOpen: boolean) => void
}
