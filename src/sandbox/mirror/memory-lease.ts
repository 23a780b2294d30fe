/**
 * A lease for the only replica.
 */
import type { LeaseRecord, LeaseStore } from '../../mirror/lease/lease.ts'

export const memoryLease = (): LeaseStore => {
  let lease: LeaseRecord | undefined
  let writes = 0
  return {
    read: async () => lease,
    write: async (record) => {
      if (record.version !== lease?.version) return false
      writes += 1
      lease = { ...record, version: String(writes) }
      return true
    },
  }
}
