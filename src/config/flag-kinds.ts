/**
 * The kinds of values that flags have: how their text is read, and what is said where it cannot be.
 */
import { parseDuration, parseListenAddress, parseSize } from './value-parsers.ts'

export interface Flag<Value> {
  /** Undefined where the flag need not be given and means nothing then. */
  readonly fallback: string | undefined
  readonly help: string
  /** What a value looks like, for the message about one that does not. */
  readonly expected: string
  /** Every value there is; none where they cannot be counted. */
  readonly choices: readonly string[]
  /** Undefined for text that is not of the form. */
  readonly parse: (text: string) => Value | undefined
}

export const flag = <Value>(
  fallback: string | undefined,
  help: string,
  [expected, parse, choices = []]: Kind<Value>,
): Flag<Value> => ({ fallback, help, expected, choices, parse })
export type Kind<Value> = readonly [
  expected: string,
  parse: (text: string) => Value | undefined,
  choices?: readonly string[],
]

export const nonEmpty = (text: string): string | undefined => (text === '' ? undefined : text)
export const matching =
  (pattern: RegExp) =>
  (text: string): string | undefined =>
    pattern.test(text) ? text : undefined
export const oneOf = <Choice extends string>(...choices: readonly Choice[]): Kind<Choice> => [
  choices.join(' or '),
  (text) => choices.find((choice) => choice === text),
  choices,
]
export const listOf = (
  what: string,
  parseItem: (text: string) => string | undefined,
): Kind<readonly string[]> => [
  `a comma-separated list of ${what}`,
  (text) => {
    const items = text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
    return items.every((item) => parseItem(item) !== undefined) ? items : undefined
  },
]
export const size: Kind<number> = ['a number of bytes, such as 64Mi or 1G', parseSize]
export const sizeAboveZero: Kind<number> = [
  'a number of bytes above 0, such as 500Gi',
  (text) => aboveZero(parseSize(text)),
]
export const trueOrFalse: Kind<boolean> = [
  'true or false',
  (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  ['true', 'false'],
]
export const file: Kind<string> = ['the path of a file', nonEmpty]
export const directory: Kind<string> = ['the path of a directory', nonEmpty]
export const duration: Kind<number> = ['a duration with its unit, such as 90s, 5m or 6h', parseDuration]
/** Clients raise a shorter life to a minute by themselves, and would outlive it. */
export const atLeastMinute = (durationMs: number | undefined): number | undefined =>
  durationMs === undefined || durationMs < 60_000 ? undefined : durationMs
export const aboveZero = (value: number | undefined): number | undefined =>
  value === undefined || value <= 0 ? undefined : value
export const address = ['an address and a port, such as 0.0.0.0:8400 or :8400', parseListenAddress] as const
export const positive = (text: string): number | undefined =>
  /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined
