/** A target of the fuzzer, and how a case reports a fault. */
import type { Random } from './random.ts'

export interface Target {
  /** Name on the command line: `npm run fuzz -- --target=<name>`. */
  readonly name: string
  /** The property that must hold for every input. */
  readonly about: string
  /** Cases that run at once; one unless given. */
  readonly parallel?: number
  /** Share of the time, relative to targets with a share of one; one unless given. */
  readonly shares?: number
  readonly start: () => Promise<Running>
}

export interface Running {
  /**
   * One case. Only its seed determines it. Its images and people have names made of the seed.
   * @throws {Error} says what does not hold
   */
  readonly run: (random: Random, seed: number) => Promise<void> | void
  /** @throws {Error} for what does not hold of all cases together */
  readonly close: () => Promise<void>
}

/** @throws {Error} with what was found, where it does not hold */
export const must = (holds: boolean, what: string, found: unknown = ''): void => {
  if (holds) return
  const text = typeof found === 'string' ? found : JSON.stringify(found)
  throw new Error(`${what}${text === '' ? '' : `: ${text.slice(0, 2000)}`}`)
}
