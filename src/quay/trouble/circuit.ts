/**
 * A circuit: whether something is in so much trouble that it is not to be asked now, for whom, and who finds out whether it is well again.
 *
 * Trouble is evidence by path and asker. It opens the circuit for an asker who has it on several paths, and for everybody only where
 * several askers do: what one asker breaks, or asks for though it is broken, is nobody else's trouble.
 */

export interface CircuitOptions {
  /** Troubles without an answer in between that open it. */
  readonly threshold: number
  /** Different paths at least that they are about. */
  readonly minPaths: number
  /** Askers at least who have them, for it to open for everybody. */
  readonly minAskers: number
  /** Askers that are told apart at a time; beyond them the oldest is forgotten. */
  readonly maxAskers: number
  /** Milliseconds between two probes of one asker: the shortest time, and the longest, to which each probe in vain doubles it. */
  readonly retryMs: number
  readonly longestRetryMs: number
  /** Milliseconds for which an answer, given while it was open, keeps it closed. */
  readonly wellMs: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/**
 * `answered`: it is well. `trouble`: evidence against it. `error`: no answer that was hoped for, but it answers. `nothing`: says nothing
 * at all, as where the asker left.
 */
export type Outcome = 'answered' | 'trouble' | 'error' | 'nothing'

/** Leave to ask once, to be settled. */
export interface Pass {
  readonly asker: string
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

interface Asker {
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
/** So many askers may find out within each pause; of more, each waits for longer, up to so many times. */
const askersPerProbe = 8
const maxSpread = 8

export class Circuit {
  readonly #options: CircuitOptions
  /** Those with trouble since the last answer, and those who have found out since then. */
  readonly #askers = new Map<string, Asker>()
  readonly #paths = new Set<string>()
  #troubles = 0
  #troubledAskers = 0
  #isOpen = false
  #answeredAt = -Infinity
  #wellUntil = -Infinity

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  isOpenFor(asker: string): boolean {
    return this.#isOpen || this.#askers.get(asker)?.isOpen === true
  }

  /** @returns undefined where it is not to be asked. Each asker has a probe of their own: nobody waits for that of another. */
  enter(asker: string, path: string): Pass | undefined {
    const began = this.#options.now()
    if (!this.isOpenFor(asker)) return { asker, path, began }
    const own = this.#of(asker)
    const turn = this.#paths.has(path) ? own.again : own.other
    if (turn.isOut || began < turn.dueAt) return undefined
    turn.isOut = true
    return { asker, path, began, turn }
  }

  settle({ asker, path, began, turn }: Pass, outcome: Outcome): void {
    if (turn !== undefined) turn.isOut = false
    if (outcome === 'answered') this.#answered()
    if (outcome === 'trouble') this.#trouble(asker, path, began)
    if (turn === undefined) return
    if (outcome === 'trouble') {
      turn.dueAt = this.#options.now() + turn.pauseMs * this.#spread()
      turn.pauseMs = Math.min(2 * turn.pauseMs, this.#options.longestRetryMs)
    }
    // It answers, if only with errors. The troubles are not forgotten: the next one opens it again.
    if (outcome === 'error') this.#close(asker)
  }

  /** Each asker has a probe, and all of them together are not to be what keeps it down. */
  #spread(): number {
    return Math.min(Math.ceil(this.#askers.size / askersPerProbe), maxSpread)
  }

  #of(asker: string): Asker {
    const known = this.#askers.get(asker)
    if (known !== undefined) return known
    const turn = (): Turn => ({ dueAt: -Infinity, pauseMs: this.#options.retryMs, isOut: false })
    const fresh = { troubles: 0, paths: new Set<string>(), isOpen: false, again: turn(), other: turn() }
    const [oldest] = this.#askers.keys()
    if (this.#askers.size >= this.#options.maxAskers) this.#askers.delete(oldest as string)
    this.#askers.set(asker, fresh)
    return fresh
  }

  #answered(): void {
    const { now, wellMs } = this.#options
    this.#answeredAt = now()
    // Nearly always: there is nothing to forget.
    if (this.#askers.size === 0) return
    const wasOpen = this.#isOpen || [...this.#askers.values()].some(({ isOpen }) => isOpen)
    if (wasOpen) this.#wellUntil = now() + wellMs
    this.#isOpen = false
    this.#askers.clear()
    this.#paths.clear()
    this.#troubles = 0
    this.#troubledAskers = 0
  }

  #close(asker: string): void {
    this.#isOpen = false
    this.#of(asker).isOpen = false
  }

  #trouble(asker: string, path: string, began: number): void {
    const { threshold, minPaths, minAskers, now } = this.#options
    // Somebody was answered since this one was asked.
    if (this.#answeredAt > began) return
    const own = this.#of(asker)
    if (own.troubles === 0) this.#troubledAskers += 1
    own.troubles += 1
    this.#troubles += 1
    for (const paths of [own.paths, this.#paths]) if (paths.size < maxPaths) paths.add(path)
    // Attack: who has trouble again and again would open it as often as it is found to be well.
    if (now() < this.#wellUntil) return
    if (!own.isOpen && own.troubles >= threshold && own.paths.size >= minPaths) {
      own.isOpen = true
      this.#putOff(own)
    }
    const isEverybodys = this.#troubledAskers >= minAskers && this.#paths.size >= minPaths
    if (this.#isOpen || !isEverybodys || this.#troubles < threshold) return
    this.#isOpen = true
    for (const each of this.#askers.values()) this.#putOff(each)
  }

  /** What had trouble just now has it still. What had none is asked for at once: it tells what is broken, everything or only some. */
  #putOff({ again }: Asker): void {
    again.dueAt = this.#options.now() + this.#options.retryMs
  }
}
