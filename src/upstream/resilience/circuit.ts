/**
 * The state of one circuit: whether requests may be sent, for whom, and who sends the next probe.
 *
 * Failures are counted by path and requester. The circuit opens for a requester with failures on several paths, and for everybody only if
 * several requesters have them: a broken image that one requester requests again and again must not affect others.
 */

export interface CircuitOptions {
  /** Failures without a success in between that open the circuit. */
  readonly threshold: number
  /** The failures must be of at least so many paths. */
  readonly minPaths: number
  /** At least so many requesters must have failures before the circuit opens for everybody. */
  readonly minRequesters: number
  /** Requesters that are counted at a time. Beyond them the oldest one is dropped. */
  readonly maxRequesters: number
  /** Milliseconds between two probes of one requester: the first pause, and the longest. Each failed probe doubles the pause. */
  readonly retryMs: number
  readonly longestRetryMs: number
  /** Milliseconds for which the circuit stays closed after a success has closed it. */
  readonly wellMs: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/**
 * `answered`: a success. `failure`: evidence against the server. `error`: an error that shows that the server answers. `neutral`: no
 * evidence, such as after the caller left.
 */
export type Outcome = 'answered' | 'failure' | 'error' | 'neutral'

/** Permission for one request. To be settled once. */
export interface Pass {
  readonly requester: string
  readonly path: string
  readonly began: number
  /** Present if the circuit is open and this request is a probe. */
  readonly turn?: Turn
}

/** Whether a probe is out, and when the next one is due. */
interface Turn {
  dueAt: number
  pauseMs: number
  isOut: boolean
}

interface Requester {
  failures: number
  readonly paths: Set<string>
  isOpen: boolean
  /**
   * Attack: a client that requests a broken image again and again would use every probe, and keep the circuit open for other clients with
   * the same requester. So paths without a failure have a turn of their own.
   */
  readonly again: Turn
  readonly other: Turn
}

/** Paths with failures that are counted at a time: more than a circuit needs to open, and bounded. */
const maxPaths = 256
/** So many requesters may send a probe within each pause. With more of them each one waits for longer, up to `maxSpread` times. */
const requestersPerProbe = 8
const maxSpread = 8

export class Circuit {
  readonly #options: CircuitOptions
  /** Requesters with failures since the last success, or with a probe. */
  readonly #requesters = new Map<string, Requester>()
  readonly #paths = new Set<string>()
  #failures = 0
  #failingRequesters = 0
  #isOpen = false
  #answeredAt = -Infinity
  #wellUntil = -Infinity

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  isOpenFor(requester: string): boolean {
    return this.#isOpen || this.#requesters.get(requester)?.isOpen === true
  }

  /** @returns undefined if the request must not be sent. Each requester has probes of their own: nobody waits for that of another. */
  enter(requester: string, path: string): Pass | undefined {
    const began = this.#options.now()
    if (!this.isOpenFor(requester)) return { requester, path, began }
    const own = this.#of(requester)
    const turn = this.#paths.has(path) ? own.again : own.other
    if (turn.isOut || began < turn.dueAt) return undefined
    turn.isOut = true
    return { requester, path, began, turn }
  }

  settle({ requester, path, began, turn }: Pass, outcome: Outcome): void {
    if (turn !== undefined) turn.isOut = false
    if (outcome === 'answered') this.#answered()
    if (outcome === 'failure') this.#failed(requester, path, began)
    if (turn === undefined) return
    if (outcome === 'failure') {
      turn.dueAt = this.#options.now() + turn.pauseMs * this.#spread()
      turn.pauseMs = Math.min(2 * turn.pauseMs, this.#options.longestRetryMs)
    }
    // The server answers, but with errors. The failures still count: the next one opens the circuit again.
    if (outcome === 'error') this.#close(requester)
  }

  /** Each requester has a probe. The sum of all probes must not keep the server down. */
  #spread(): number {
    return Math.min(Math.ceil(this.#requesters.size / requestersPerProbe), maxSpread)
  }

  #of(requester: string): Requester {
    const known = this.#requesters.get(requester)
    if (known !== undefined) return known
    const turn = (): Turn => ({ dueAt: -Infinity, pauseMs: this.#options.retryMs, isOut: false })
    const fresh = { failures: 0, paths: new Set<string>(), isOpen: false, again: turn(), other: turn() }
    const [oldest] = this.#requesters.keys()
    if (this.#requesters.size >= this.#options.maxRequesters) this.#requesters.delete(oldest as string)
    this.#requesters.set(requester, fresh)
    return fresh
  }

  #answered(): void {
    const { now, wellMs } = this.#options
    this.#answeredAt = now()
    // The usual case: no failure is counted.
    if (this.#requesters.size === 0) return
    const wasOpen = this.#isOpen || [...this.#requesters.values()].some(({ isOpen }) => isOpen)
    if (wasOpen) this.#wellUntil = now() + wellMs
    this.#isOpen = false
    this.#requesters.clear()
    this.#paths.clear()
    this.#failures = 0
    this.#failingRequesters = 0
  }

  #close(requester: string): void {
    this.#isOpen = false
    this.#of(requester).isOpen = false
  }

  #failed(requester: string, path: string, began: number): void {
    const { threshold, minPaths, minRequesters, now } = this.#options
    // Another request has succeeded since this one was sent.
    if (this.#answeredAt > began) return
    const own = this.#of(requester)
    if (own.failures === 0) this.#failingRequesters += 1
    own.failures += 1
    this.#failures += 1
    for (const paths of [own.paths, this.#paths]) if (paths.size < maxPaths) paths.add(path)
    // Attack: a client with a broken image could open the circuit again each time that a success has closed it.
    if (now() < this.#wellUntil) return
    if (!own.isOpen && own.failures >= threshold && own.paths.size >= minPaths) {
      own.isOpen = true
      this.#putOff(own)
    }
    const isForAll = this.#failingRequesters >= minRequesters && this.#paths.size >= minPaths
    if (this.#isOpen || !isForAll || this.#failures < threshold) return
    this.#isOpen = true
    for (const each of this.#requesters.values()) this.#putOff(each)
  }

  /** A path that failed just now is not probed at once. A path without a failure is: it tells whether everything fails, or only some. */
  #putOff({ again }: Requester): void {
    again.dueAt = this.#options.now() + this.#options.retryMs
  }
}
