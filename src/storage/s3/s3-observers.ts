/**
 * The events of the S3 tier, for metrics and the log.
 */
import type { EntryKind } from '../cache-directory.ts'

export type S3Operation = 'get' | 'head' | 'delete'
/** `found`: S3 answered with the object, or did what was requested. `circuit-open`: not sent. `cancelled`: the client left. */
export type S3Outcome = 'found' | 'absent' | 'refused' | 'failed' | 'circuit-open' | 'cancelled'
/**
 * `present`: S3 already had it. `gone`: the disk does not have it any more. `dropped`: too many uploads waited. `unreadable`: the disk
 * returned other bytes.
 */
export type UploadOutcome = 'stored' | 'present' | 'gone' | 'dropped' | 'failed' | 'refused' | 'cancelled'
export type CorruptObject = 'size' | 'digest'

export interface S3Observers {
  /** @param error for the log, without secrets */
  readonly request: (operation: S3Operation, outcome: S3Outcome, error?: string) => void
  readonly uploaded: (kind: EntryKind, outcome: UploadOutcome, bytes: number, error?: string) => void
  readonly corrupt: (kind: EntryKind, why: CorruptObject) => void
  readonly circuit: (isOpen: boolean) => void
}
