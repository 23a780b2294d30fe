/**
 * Texts of flags -> their values, as the flag table says.
 */
import type { CommandSyntax, Environment, GivenFlag, GivenFlags } from './command-line.ts'
import { collectFlags } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import type { Flag, FlagTable, ValuesOf } from './flag-kinds.ts'

/** Undefined if an optional flag was not given, or if its text is not valid. */
export type PartialValuesOf<Table extends FlagTable> = {
  readonly [Key in keyof Table]: ValuesOf<Table>[Key] | undefined
}

/** @param problems is added to: a sentence for each text that is not valid */
export const parseValues = <Table extends FlagTable>(
  flags: Table,
  given: GivenFlags['given'],
  problems: string[],
): PartialValuesOf<Table> => {
  const entries = Object.entries(flags).map(([key, flag]) => [
    key,
    parseValue(flag, given.get(key), problems),
  ])
  return Object.fromEntries(entries) as PartialValuesOf<Table>
}

const parseValue = (flag: Flag, given: GivenFlag | undefined, problems: string[]): unknown => {
  const { name, fallback, expected, form, parse } = flag
  const { texts, origin } = given ?? {
    texts: fallback === undefined ? [] : [fallback],
    origin: `--${name}`,
  }
  const values = texts.map((text) => {
    const value = parse(text)
    if (value === undefined)
      problems.push(`${origin}=${withoutUser(text)} is not valid: expected ${expected}`)
    return value
  })
  return form === 'repeated' ? values : values[0]
}

/** Attack: a URL with a password in it, given to any flag, would stand in the log of a start that failed. */
export const withoutUser = (text: string): string =>
  text.includes('@') ? `***${text.slice(text.lastIndexOf('@'))}` : text

/**
 * The arguments of a command with no more to be checked about them.
 * @throws {ConfigError} with every problem
 */
export const parseCommand = <Table extends FlagTable>(
  syntax: CommandSyntax<Table>,
  args: readonly string[],
  environment: Environment,
): { readonly values: ValuesOf<Table>; readonly positionals: readonly string[] } => {
  const problems: string[] = []
  const { given, positionals } = collectFlags(syntax, args, environment, problems)
  const values = parseValues(syntax.flags, given, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return { values: values as ValuesOf<Table>, positionals }
}
