/**
 * How many tokens that nobody knows came from one address lately, and whether that is a trickle or a flood.
 */
export interface StrangeTokens {
  readonly note: () => void
  /** One of them was accepted, and does not count. */
  readonly proven: () => void
  /** Few came in this second of the clock and the one before it, and there was no flood a moment ago. */
  readonly areCalm: () => boolean
}

/** In two seconds. Three a second, as behind a router where all expired logins come from one address, are far below. */
const mostOfTrickle = 16
/** In two seconds. An office that comes back from lunch is below, a loop that makes up tokens is above. */
const leastOfFlood = 80
/** Milliseconds. */
const floodEndsAfterMs = 10_000

/** @param now milliseconds, monotonic */
export const createStrangeTokens = (now: () => number): StrangeTokens => {
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
