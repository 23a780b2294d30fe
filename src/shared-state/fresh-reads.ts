/**
 * Single-flight for reads that must not be older than the question: callers share a read, but not one that began before they asked.
 * So at most two are ever wanted: the one on its way, and one after it.
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
