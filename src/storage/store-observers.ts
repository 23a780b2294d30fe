/**
 * The events of entries and fills, for metrics and the log.
 */
import type { EntryKind } from './cache-directory.ts'
import type { FillOutcome } from './fill-outcome.ts'
import type { CorruptEntry } from './stored-file.ts'

export interface StoreObservers {
  readonly fillEnded: (kind: EntryKind, outcome: FillOutcome, bytes: number) => void
  readonly evicted: (kind: EntryKind, bytes: number) => void
  readonly corrupt: (kind: EntryKind, why: CorruptEntry) => void
}
