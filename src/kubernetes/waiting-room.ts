/**
 * Those who wait until they may enter, one of each address in turn. Where an address has too many waiting, its oldest goes: whoever
 * has just come has the longest time left, and a flood is answered at once.
 *
 * Not fair-queue.ts: there the newcomer goes, which under a flood of one's own address is always the same one.
 */
import type { Clock } from '../concurrency/clock.ts'

/** What one that enters is given; undefined where it may not. */
export type Entered<Value> = { readonly value: Value } | undefined

export interface WaitingRoomOptions<Value> {
  /** Of all addresses together. */
  readonly maxWaiting: number
  /** Milliseconds. */
  readonly maxWaitMs: number
  readonly clock: Clock
  /** Lets the next one of an address enter, or not. */
  readonly enter: (address: string) => Entered<Value>
  /** What those get who are sent away. */
  readonly refuse: (address: string) => Error
}

/** Milliseconds between two looks at what time has opened, while anybody waits. */
const lookMs = 100

interface Waiter<Value> {
  readonly letIn: (value: Value) => void
  readonly sendAway: () => void
}

export class WaitingRoom<Value> {
  readonly #options: WaitingRoomOptions<Value>
  /** In the order of turns, each with its oldest first; nobody is in it without a waiter. */
  readonly #waiting = new Map<string, Set<Waiter<Value>>>()
  #size = 0
  #isLooking = false

  constructor(options: WaitingRoomOptions<Value>) {
    this.#options = options
  }

  /** @param max waiting of this address. @throws what `refuse` makes */
  async wait(address: string, max: number): Promise<Value> {
    // Nobody of the same address is overtaken.
    const entered = this.#waiting.has(address) ? undefined : this.#options.enter(address)
    if (entered !== undefined) return entered.value
    const promise = this.#add(address)
    this.trim(address, max)
    if (this.#size > this.#options.maxWaiting) this.#oldestOfMost().sendAway()
    return await promise
  }

  /** Sends away the oldest of an address, until no more than `max` of it wait. */
  trim(address: string, max: number): void {
    const own = Array.from(this.#waiting.get(address) ?? [])
    for (const oldest of own.slice(0, Math.max(0, own.length - max))) oldest.sendAway()
  }

  /** Lets in whoever may enter now. Called when a place was given back; what time alone opens is looked after here. */
  pump(): void {
    // One of each address in turn, until nobody may enter.
    for (let isAnybody = true; isAnybody;) {
      isAnybody = false
      for (const [address, own] of Array.from(this.#waiting)) {
        const entered = this.#options.enter(address)
        if (entered === undefined) continue
        // To the end of the turns, with what is left.
        this.#waiting.delete(address)
        this.#waiting.set(address, own)
        oldestOf(own).letIn(entered.value)
        isAnybody = true
      }
    }
  }

  #look(): void {
    if (this.#isLooking || this.#size === 0) return
    this.#isLooking = true
    this.#options.clock.after(lookMs, () => {
      this.#isLooking = false
      this.pump()
      this.#look()
    })
  }

  #add(address: string): Promise<Value> {
    const { clock, maxWaitMs, refuse } = this.#options
    const turn = Promise.withResolvers<Value>()
    const own = this.#waiting.get(address) ?? new Set()
    const leave = (): void => {
      own.delete(waiter)
      if (own.size === 0) this.#waiting.delete(address)
      this.#size -= 1
      callOff()
    }
    const waiter: Waiter<Value> = {
      letIn: (value) => {
        leave()
        turn.resolve(value)
      },
      sendAway: () => {
        leave()
        turn.reject(refuse(address))
      },
    }
    const callOff = clock.after(maxWaitMs, waiter.sendAway)
    this.#waiting.set(address, own.add(waiter))
    this.#size += 1
    this.#look()
    return turn.promise
  }

  #oldestOfMost(): Waiter<Value> {
    let most: ReadonlySet<Waiter<Value>> = new Set()
    for (const own of this.#waiting.values()) if (own.size > most.size) most = own
    return oldestOf(most)
  }
}

/** Of a set that is not empty. */
const oldestOf = <Value>(own: ReadonlySet<Waiter<Value>>): Waiter<Value> =>
  own.values().next().value as Waiter<Value>
