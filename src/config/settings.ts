/**
 * The settings in force, for `--print-config` and for the first line of the log. No setting is a secret: secrets come from files, and only
 * the paths of the files are settings.
 */
import type { GivenFlags } from './command-line.ts'
import type { FlagTable } from './flag-kinds.ts'
import { withoutUser } from './flag-values.ts'

export interface Setting {
  /** `listen-addr` */
  readonly name: string
  /** The value as on a command line; undefined if the flag was not given and has no default. */
  readonly value: string | undefined
  /** `QUAY_PROXY_LISTEN_ADDR`, `--listen-addr`, or `default`. */
  readonly from: string
}

/** In the order of the table. */
export const settingsOf = (flags: FlagTable, given: GivenFlags['given']): readonly Setting[] =>
  Object.entries(flags).map(([key, { name, fallback }]) => {
    const { texts: [text] = [fallback], origin = 'default' } = given.get(key) ?? {}
    return { name, value: text === undefined ? undefined : withoutUser(text), from: origin }
  })

const written = ({ name, value }: Setting): string => `--${name}=${value}`

/** `--log-level=debug`: the settings that are not the default. */
export const givenSettings = (settings: readonly Setting[]): readonly string[] =>
  settings.filter(({ from }) => from !== 'default').map(written)

/** One setting on each line, followed by its origin. */
export const describeSettings = (settings: readonly Setting[]): string => {
  const inForce = settings.filter(({ value }) => value !== undefined)
  const unset = settings.filter(({ value }) => value === undefined)
  const width = Math.max(...inForce.map((setting) => written(setting).length))
  return [
    ...inForce.map((setting) => `${written(setting).padEnd(width)}  # ${setting.from}`),
    `# not set: ${unset.map(({ name }) => `--${name}`).join(' ')}`,
  ].join('\n')
}
