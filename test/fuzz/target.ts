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
   * @throws {Error} with the violated rule
   */
  readonly run: (random: Random, seed: number) => Promise<void> | void
  /** @throws {Error} if a rule about all cases together is violated */
  readonly close: () => Promise<void>
}

/** @throws {Error} with the finding, if a rule is violated */
export const must = (holds: boolean, what: string, found: unknown = ''): void => {
  if (holds) return
  const text = typeof found === 'string' ? found : JSON.stringify(found)
  throw new Error(`${what}${text === '' ? '' : `: ${text.slice(0, 2000)}`}`)
}
