/**
 * Counts the unknown tokens of one address in the last two seconds, and tells a trickle from a flood.
 */
export interface UnknownTokens {
  readonly note: () => void
  /** One of the tokens was accepted: it does not count any more. */
  readonly proven: () => void
  /** Few tokens came in this second of the clock and the one before it, and no flood has just ended. */
  readonly areCalm: () => boolean
}

/** Tokens in two seconds. Three a second, as from a router that hides all addresses behind its own, are far below. */
const mostOfTrickle = 16
/** Tokens in two seconds. An office after lunch is below, a loop of made-up tokens is above. */
const leastOfFlood = 80
/** Milliseconds. */
const floodEndsAfterMs = 10_000

/** @param now milliseconds, monotonic */
export const createUnknownTokens = (now: () => number): UnknownTokens => {
  let second = -Infinity
  let current = 0
  let before = 0
  let floodUntil = -Infinity
  const lately = (): number => {
    const time = Math.floor(now() / 1000)
    if (time !== second) {
      before = time === second + 1 ? current : 0
      current = 0
      second = time
    }
    return current + before
  }
  return {
    note: () => {
      const count = lately() + 1
      current += 1
      if (count >= leastOfFlood) floodUntil = now() + floodEndsAfterMs
    },
    proven: () => {
      lately()
      if (current > 0) current -= 1
      else before = Math.max(0, before - 1)
    },
    areCalm: () => lately() <= mostOfTrickle && now() >= floodUntil,
  }
}
