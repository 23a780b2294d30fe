/** What is tried, and how a case says that something is wrong. */
import type { Random } from './random.ts'

export interface Target {
  /** How it is asked for: `npm run fuzz -- --target=<name>`. */
  readonly name: string
  /** What must hold, whatever comes. */
  readonly about: string
  /** Cases at a time; one unless given. */
  readonly parallel?: number
  /** Of the time, beside targets of one share; one unless given. */
  readonly shares?: number
  readonly start: () => Promise<Running>
}

export interface Running {
  /**
   * One case, which follows from its seed alone: what it leaves behind (images, people) has names made of the seed.
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
