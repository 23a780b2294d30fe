/**
 * A queue in which addresses take turns. If an address has too many waiters, its oldest waiter is rejected: the newest one has the most
 * time left, and a flood is answered at once.
 *
 * Not fair-queue.ts: it rejects the newest waiter, so that a user at the address of a flood would always be rejected.
 */
import type { Clock } from '../concurrency/clock.ts'

/** The value for a waiter that enters; undefined if it may not enter yet. */
export type Entered<Value> = { readonly value: Value } | undefined

export interface WaitingRoomOptions<Value> {
  /** Waiters of all addresses together. */
  readonly maxWaiting: number
  /** Milliseconds. */
  readonly maxWaitMs: number
  readonly clock: Clock
  /** Called for the next waiter of an address. */
  readonly enter: (address: string) => Entered<Value>
  /** The error for a waiter that is rejected. */
  readonly refuse: (address: string) => Error
}

/** Milliseconds between two attempts to let waiters enter, because some limits free places as time passes. */
const lookMs = 100

interface Waiter<Value> {
  readonly admit: (value: Value) => void
  readonly reject: () => void
}

export class WaitingRoom<Value> {
  readonly #options: WaitingRoomOptions<Value>
  /** Addresses in the order of their turns, each with its oldest waiter first. No address is in it without a waiter. */
  readonly #waiting = new Map<string, Set<Waiter<Value>>>()
  #size = 0
  #isLooking = false

  constructor(options: WaitingRoomOptions<Value>) {
    this.#options = options
  }

  /** @param max waiters of this address. @throws what `refuse` returns */
  async wait(address: string, max: number): Promise<Value> {
    // A new waiter does not overtake waiters of the same address.
    const entered = this.#waiting.has(address) ? undefined : this.#options.enter(address)
    if (entered !== undefined) return entered.value
    const promise = this.#add(address)
    this.trim(address, max)
    if (this.#size > this.#options.maxWaiting) this.#oldestOfMost().reject()
    return await promise
  }

  /** Rejects the oldest waiters of an address, until it has no more than `max`. */
  trim(address: string, max: number): void {
    const own = Array.from(this.#waiting.get(address) ?? [])
    for (const oldest of own.slice(0, Math.max(0, own.length - max))) oldest.reject()
  }

  /** Admits all waiters that may enter now. To be called after a release; a timer here does it for limits that recover with time. */
  pump(): void {
    // One waiter of each address in turn, until none may enter.
    for (let hasEntered = true; hasEntered;) {
      hasEntered = false
      for (const [address, own] of Array.from(this.#waiting)) {
        const entered = this.#options.enter(address)
        if (entered === undefined) continue
        // The address goes to the end of the turns.
        this.#waiting.delete(address)
        this.#waiting.set(address, own)
        oldestOf(own).admit(entered.value)
        hasEntered = true
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
      cancelTimer()
    }
    const waiter: Waiter<Value> = {
      admit: (value) => {
        leave()
        turn.resolve(value)
      },
      reject: () => {
        leave()
        turn.reject(refuse(address))
      },
    }
    const cancelTimer = clock.after(maxWaitMs, waiter.reject)
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

/** @param own not empty */
const oldestOf = <Value>(own: ReadonlySet<Waiter<Value>>): Waiter<Value> =>
  own.values().next().value as Waiter<Value>
