/** Random choices of one case. The seed determines all of them, so a case can be repeated. */
import { randomFrom } from '../oci/random.ts'

export class Random {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = randomFrom(seed)
  }

  /** A whole number from 0 up to, and without, the bound. */
  below(bound: number): number {
    return Math.floor(this.#next() * bound)
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item
  }

  /** A number of items, each chosen independently. */
  some<Item>(items: readonly Item[], count: number): Item[] {
    return Array.from({ length: count }, () => this.pick(items))
  }

  text(alphabet: string, length: number): string {
    return this.some(alphabet.split(''), length).join('')
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }

  digest(): string {
    return `sha256:${this.text('0123456789abcdef', 64)}`
  }

  /** A few changes that break parsers: a byte is flipped, removed, doubled or inserted, or the rest is cut off. */
  mutated(content: Buffer, changes = 1 + this.below(4)): Buffer {
    let bytes = content
    for (let change = 0; change < changes && bytes.length > 0; change++) {
      const at = this.below(bytes.length)
      const end = Math.min(bytes.length, at + 1 + this.below(8))
      const [before, part, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)]
      const put = this.pick([
        this.bytes(part.length),
        Buffer.alloc(0),
        Buffer.concat([part, part]),
        Buffer.concat([Buffer.from(this.pick(breaking)), part]),
      ])
      bytes = this.chance(0.1) ? before : Buffer.concat([before, put, after])
    }
    return bytes
  }
}

const breaking = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '"',
  '\\',
  '{',
  '[',
  '\xff',
  '0x',
  '-',
  '%0d%0a',
]
