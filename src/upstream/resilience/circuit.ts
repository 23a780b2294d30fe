/**
 * A circuit: whether something is in so much trouble that it is not to be asked now, for whom, and who finds out whether it is well again.
 *
 * Trouble is evidence by path and requester. It opens the circuit for a requester who has it on several paths, and for everybody only where
 * several requesters do: what one requester breaks, or asks for though it is broken, is nobody else's trouble.
 */

export interface CircuitOptions {
  /** Troubles without an answer in between that open it. */
  readonly threshold: number
  /** Different paths at least that they are about. */
  readonly minPaths: number
  /** Requesters at least who have them, for it to open for everybody. */
  readonly minRequesters: number
  /** Requesters that are told apart at a time; beyond them the oldest is forgotten. */
  readonly maxRequesters: number
  /** Milliseconds between two probes of one requester: the shortest time, and the longest, to which each probe in vain doubles it. */
  readonly retryMs: number
  readonly longestRetryMs: number
  /** Milliseconds for which an answer, given while it was open, keeps it closed. */
  readonly wellMs: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/**
 * `answered`: it is well. `trouble`: evidence against it. `error`: no answer that was hoped for, but it answers. `nothing`: says nothing
 * at all, as where the requester left.
 */
export type Outcome = 'answered' | 'trouble' | 'error' | 'nothing'

/** Leave to ask once, to be settled. */
export interface Pass {
  readonly requester: string
  readonly path: string
  readonly began: number
  /** Present where the circuit is open, and this one finds out. */
  readonly turn?: Turn
}

/** Whose probe is out, and when the next one is due. */
interface Turn {
  dueAt: number
  pauseMs: number
  isOut: boolean
}

interface Requester {
  troubles: number
  readonly paths: Set<string>
  isOpen: boolean
  /**
   * Attack: who asks again and again for what is broken would have every probe, and keep it open for the others behind the same name. So
   * what has had no trouble yet has a turn of its own.
   */
  readonly again: Turn
  readonly other: Turn
}

/** Paths with trouble that are told apart: more than is needed to show it, and no more memory than that. */
const maxPaths = 256
/** So many requesters may find out within each pause; of more, each waits for longer, up to so many times. */
const requestersPerProbe = 8
const maxSpread = 8

export class Circuit {
  readonly #options: CircuitOptions
  /** Those with trouble since the last answer, and those who have found out since then. */
  readonly #requesters = new Map<string, Requester>()
  readonly #paths = new Set<string>()
  #troubles = 0
  #troubledRequesters = 0
  #isOpen = false
  #answeredAt = -Infinity
  #wellUntil = -Infinity

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  isOpenFor(requester: string): boolean {
    return this.#isOpen || this.#requesters.get(requester)?.isOpen === true
  }

  /** @returns undefined where it is not to be asked. Each requester has a probe of their own: nobody waits for that of another. */
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
    if (outcome === 'trouble') this.#trouble(requester, path, began)
    if (turn === undefined) return
    if (outcome === 'trouble') {
      turn.dueAt = this.#options.now() + turn.pauseMs * this.#spread()
      turn.pauseMs = Math.min(2 * turn.pauseMs, this.#options.longestRetryMs)
    }
    // It answers, if only with errors. The troubles are not forgotten: the next one opens it again.
    if (outcome === 'error') this.#close(requester)
  }

  /** Each requester has a probe, and all of them together are not to be what keeps it down. */
  #spread(): number {
    return Math.min(Math.ceil(this.#requesters.size / requestersPerProbe), maxSpread)
  }

  #of(requester: string): Requester {
    const known = this.#requesters.get(requester)
    if (known !== undefined) return known
    const turn = (): Turn => ({ dueAt: -Infinity, pauseMs: this.#options.retryMs, isOut: false })
    const fresh = { troubles: 0, paths: new Set<string>(), isOpen: false, again: turn(), other: turn() }
    const [oldest] = this.#requesters.keys()
    if (this.#requesters.size >= this.#options.maxRequesters) this.#requesters.delete(oldest as string)
    this.#requesters.set(requester, fresh)
    return fresh
  }

  #answered(): void {
    const { now, wellMs } = this.#options
    this.#answeredAt = now()
    // Nearly always: there is nothing to forget.
    if (this.#requesters.size === 0) return
    const wasOpen = this.#isOpen || [...this.#requesters.values()].some(({ isOpen }) => isOpen)
    if (wasOpen) this.#wellUntil = now() + wellMs
    this.#isOpen = false
    this.#requesters.clear()
    this.#paths.clear()
    this.#troubles = 0
    this.#troubledRequesters = 0
  }

  #close(requester: string): void {
    this.#isOpen = false
    this.#of(requester).isOpen = false
  }

  #trouble(requester: string, path: string, began: number): void {
    const { threshold, minPaths, minRequesters, now } = this.#options
    // Somebody was answered since this one was asked.
    if (this.#answeredAt > began) return
    const own = this.#of(requester)
    if (own.troubles === 0) this.#troubledRequesters += 1
    own.troubles += 1
    this.#troubles += 1
    for (const paths of [own.paths, this.#paths]) if (paths.size < maxPaths) paths.add(path)
    // Attack: who has trouble again and again would open it as often as it is found to be well.
    if (now() < this.#wellUntil) return
    if (!own.isOpen && own.troubles >= threshold && own.paths.size >= minPaths) {
      own.isOpen = true
      this.#putOff(own)
    }
    const isEverybodys = this.#troubledRequesters >= minRequesters && this.#paths.size >= minPaths
    if (this.#isOpen || !isEverybodys || this.#troubles < threshold) return
    this.#isOpen = true
    for (const each of this.#requesters.values()) this.#putOff(each)
  }

  /** What had trouble just now has it still. What had none is asked for at once: it tells what is broken, everything or only some. */
  #putOff({ again }: Requester): void {
    again.dueAt = this.#options.now() + this.#options.retryMs
  }
}
