import type { Test } from 'tap'
import type { Clock } from '../../src/concurrency/clock.ts'

export interface FakeClock extends Clock {
  /** Lets time pass: what is due runs in its order, and all that follows from it at once is through before the next. */
  readonly pass: (ms: number) => Promise<void>
  /** What is still to happen. */
  readonly pending: () => number
}

/** A clock that stands still until it is told otherwise. */
export const fakeClock = (): FakeClock => {
  let now = 0
  const due = new Set<{ at: number; run: () => void }>()
  return {
    now: () => now,
    after: (ms, run) => {
      const entry = { at: now + ms, run }
      due.add(entry)
      return () => void due.delete(entry)
    },
    pending: () => due.size,
    pass: async (ms) => {
      const end = now + ms
      for (;;) {
        await settled()
        const [next] = [...due].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
        if (next === undefined) break
        due.delete(next)
        now = Math.max(now, next.at)
        next.run()
      }
      now = end
      await settled()
    },
  }
}

/** Until everything that was settled has become known to those who wait for it. */
export const settled = async (): Promise<void> => {
  await new Promise((resolve) => setImmediate(resolve))
}

/** Stays until the test is over, where only timers would be left that nobody is to wait for. */
export const staying = (test: Test): void => {
  const timer = setInterval(() => undefined, 1000)
  test.teardown(() => clearInterval(timer))
}
