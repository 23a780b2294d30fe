/**
 * Single-flight for reads that must not begin before the call: callers share a read, but not one that is already in flight. So at most two
 * reads are needed: the one in flight, and the next one.
 *
 * Not single-flight.ts: its callers share the load in flight.
 */
export const createFreshReads = <Answer>(read: () => Promise<Answer>): (() => Promise<Answer>) => {
  let current: Promise<Answer> | undefined
  let next: Promise<Answer> | undefined

  const begin = (): Promise<Answer> => {
    const mine = read().finally(() => {
      if (current === mine) current = undefined
    })
    current = mine
    return mine
  }
  return async () => {
    if (current === undefined) return await begin()
    next ??= current
      .catch(() => undefined)
      .then(async () => {
        next = undefined
        return await begin()
      })
    return await next
  }
}
