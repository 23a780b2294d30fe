/**
 * A row of a flag table, and the kinds of values of flags: how a text is parsed, and how a message describes the value.
 */
import { parseDuration, parseListenAddress, parseSize } from './value-parsers.ts'

/**
 * How a flag is written: `--name=value`; `--name` alone or with true or false; only `--name` alone; or `--name=value` several times.
 */
export type FlagForm = 'value' | 'boolean' | 'switch' | 'repeated'

export interface Flag<
  Value = unknown,
  Fallback extends string | undefined = string | undefined,
  Form extends FlagForm = FlagForm,
> {
  /** `listen-addr` */
  readonly name: string
  /** Undefined if the flag may be left out and then has no value. */
  readonly fallback: Fallback
  readonly help: string
  /** Describes a value, for the message about one that is not valid. */
  readonly expected: string
  /** Every possible value; none if they cannot be counted. */
  readonly choices: readonly string[]
  readonly form: Form
  /** Undefined for text that is not of the form. */
  readonly parse: (text: string) => Value | undefined
}

/** Each key is the name of the value; for `serve`, the key of the Config. */
export type FlagTable = Readonly<Record<string, Flag>>

type ValueOf<One extends Flag> =
  One extends Flag<infer Value, infer Fallback, infer Form>
    ? Form extends 'repeated'
      ? readonly Value[]
      : Fallback extends string
        ? Value
        : Value | undefined
    : never

export type ValuesOf<Table extends FlagTable> = { readonly [Key in keyof Table]: ValueOf<Table[Key]> }

export interface Kind<Value> {
  readonly expected: string
  readonly parse: (text: string) => Value | undefined
  readonly choices?: readonly string[]
  readonly form?: 'value' | 'boolean' | 'switch'
}

/** @param fallback in the words of the command line; undefined if the flag may be left out */
export const flag = <Value, Fallback extends string | undefined>(
  name: string,
  fallback: Fallback,
  help: string,
  { expected, parse, choices = [], form = 'value' }: Kind<Value>,
): Flag<Value, Fallback, 'value' | 'boolean' | 'switch'> => ({
  name,
  fallback,
  help,
  expected,
  choices,
  form,
  parse,
})

/** A flag that may be given several times. */
export const repeatedFlag = <Value>(
  name: string,
  help: string,
  { expected, parse }: Kind<Value>,
): Flag<Value, undefined, 'repeated'> => ({
  name,
  fallback: undefined,
  help,
  expected,
  choices: [],
  form: 'repeated',
  parse,
})

export const nonEmpty = (text: string): string | undefined => (text === '' ? undefined : text)

export const matching =
  (pattern: RegExp) =>
  (text: string): string | undefined =>
    pattern.test(text) ? text : undefined

export const oneOf = <Choice extends string>(...choices: readonly Choice[]): Kind<Choice> => ({
  expected: choices.join(' or '),
  parse: (text) => choices.find((choice) => choice === text),
  choices,
})

export const listOf = (
  what: string,
  parseItem: (text: string) => string | undefined,
): Kind<readonly string[]> => ({
  expected: `a comma-separated list of ${what}`,
  parse: (text) => {
    const items = text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
    return items.every((item) => parseItem(item) !== undefined) ? items : undefined
  },
})

const parseBoolean = (text: string): boolean | undefined =>
  text === 'true' ? true : text === 'false' ? false : undefined

export const trueOrFalse: Kind<boolean> = {
  expected: 'true or false',
  parse: parseBoolean,
  choices: ['true', 'false'],
  form: 'boolean',
}
/** True if the flag is given; it takes no value. */
export const givenOrNot: Kind<boolean> = { expected: 'no value', parse: parseBoolean, form: 'switch' }
export const size: Kind<number> = { expected: 'a number of bytes, such as 64Mi or 1G', parse: parseSize }
export const sizeAboveZero: Kind<number> = {
  expected: 'a number of bytes above 0, such as 500Gi',
  parse: (text) => {
    const bytes = parseSize(text)
    return bytes === 0 ? undefined : bytes
  },
}
export const file: Kind<string> = { expected: 'the path of a file', parse: nonEmpty }
export const directory: Kind<string> = { expected: 'the path of a directory', parse: nonEmpty }
export const duration: Kind<number> = {
  expected: 'a duration with its unit, such as 90s, 5m or 6h',
  parse: parseDuration,
}
/** @param example a duration, as it is written */
export const durationAboveZero = (example: string): Kind<number> => ({
  expected: `a duration above 0, such as ${example}`,
  parse: (text) => {
    const durationMs = parseDuration(text)
    return durationMs === 0 ? undefined : durationMs
  },
})
export const address = {
  expected: 'an address and a port, such as 0.0.0.0:8400 or :8400',
  parse: parseListenAddress,
} as const
export const positive: Kind<number> = {
  expected: 'a number from 1',
  parse: (text) => (/^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined),
}
