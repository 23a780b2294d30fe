/**
 * Every digest that a restricted tag ever reached, as 64 bits of it: 16 bytes of memory each. Nothing is removed from the set, so a
 * digest that the graph evicts stays closed.
 *
 * The set may claim a digest that was never added, with a probability of entries / 2^64. Such an error closes a digest and opens none.
 */
import { randomInt } from 'node:crypto'
import type { DigestKey } from './digest-key.ts'

const firstSlots = 1 << 12
/** Two words for a slot, half of the slots in use: 64 MiB for four million digests. */
const defaultMax = 1 << 22

export class FingerprintSet {
  readonly #max: number
  /** Attack: a manifest names digests that were chosen to collide in one slot. So slots depend on a secret. */
  readonly #secrets = [randomInt(2 ** 32), randomInt(2 ** 32)] as const
  #slots = new Uint32Array(2 * firstSlots)
  #size = 0

  /** @param max bound on digests; a full set claims every digest, because a restricted digest must never be open */
  constructor(max = defaultMax) {
    this.#max = max
  }

  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return this.#size >= this.#max
  }

  add(key: DigestKey): void {
    if (this.isFull) return
    if (4 * (this.#size + 1) > this.#slots.length) this.#grow()
    const [high, low] = wordsOf(key)
    if (this.#put(high, low)) this.#size += 1
  }

  has(key: DigestKey): boolean {
    if (this.isFull) return true
    const [high, low] = wordsOf(key)
    const at = this.#find(high, low)
    return this.#slots[at] === high && this.#slots[at + 1] === low
  }

  #put(high: number, low: number): boolean {
    const at = this.#find(high, low)
    const isNew = this.#slots[at] === 0 && this.#slots[at + 1] === 0
    this.#slots[at] = high
    this.#slots[at + 1] = low
    return isNew
  }

  /** Finds the slot of the words, or the empty slot for them. */
  #find(high: number, low: number): number {
    const slots = this.#slots
    const mask = slots.length / 2 - 1
    let slot = mixed(mixed(high ^ this.#secrets[0]) ^ low ^ this.#secrets[1]) & mask
    for (;;) {
      const at = 2 * slot
      const isEmpty = slots[at] === 0 && slots[at + 1] === 0
      if (isEmpty || (slots[at] === high && slots[at + 1] === low)) return at
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(before.length * 2)
    for (let at = 0; at < before.length; at += 2) {
      const [high = 0, low = 0] = [before[at], before[at + 1]]
      if (high !== 0 || low !== 0) this.#put(high, low)
    }
  }
}

/** The finalizer of MurmurHash3: each bit of the word changes about half of the bits of the result. */
const mixed = (word: number): number => {
  const once = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35)
  return twice ^ (twice >>> 16)
}

/** The first eight bytes of a digest; never two zeros, which mark an empty slot. */
const wordsOf = (key: DigestKey): readonly [high: number, low: number] => {
  const word = (at: number): number =>
    ((key.charCodeAt(at) << 24) |
      (key.charCodeAt(at + 1) << 16) |
      (key.charCodeAt(at + 2) << 8) |
      key.charCodeAt(at + 3)) >>>
    0
  const [high, low] = [word(0), word(4)]
  return high === 0 && low === 0 ? [0, 1] : [high, low]
}
