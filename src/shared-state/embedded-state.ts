/** Shared state of a single replica: in this process, and in the state directory if there is one. */
import { createTokenBucket, partOf } from '../concurrency/token-bucket.ts'
import type { IndexState } from '../digests/restricted-index/index-state.ts'
import type { SharedState, SharedStateOptions } from './shared-state.ts'
import { StateDirectory } from './state-directory.ts'

export const createEmbeddedState = (options: SharedStateOptions): SharedState => {
  const { apply, snapshot, hasForgotten = () => false, stateDir, replicas = 1 } = options
  const { now = () => performance.now(), wallClock = Date.now, onWarning = () => undefined } = options
  const startedAt = now()
  let index: IndexState | undefined
  const directory =
    stateDir === undefined
      ? undefined
      : new StateDirectory({
          directory: stateDir,
          snapshot,
          index: async () => (hasForgotten() ? undefined : index),
          onWarning,
          wallClock,
        })

  return {
    facts: { publish: async () => undefined, catchUp: async () => true, isCertain: () => true },
    index: {
      read: async () => index,
      write: async (state) => {
        index = state
        return true
      },
      tryLead: async () => true,
    },
    // Replicas without a common store: each has its share of the rate.
    tokenBucket: (_name, rate) => createTokenBucket(partOf(rate, replicas), now),
    grants: { publish: async () => undefined, read: async () => [] },
    failedLogins: { publish: () => undefined, onCharge: () => undefined },
    status: () => ({ state: 'embedded', sinceMs: now() - startedAt, replicas, isLoaded: true }),
    start: async () => {
      const stored = await directory?.open()
      if (stored === undefined) return
      apply(stored.facts)
      index = stored.index
    },
    close: async () => await directory?.close(),
  }
}
