/** The arguments of the benchmark. No part is imported here, so that a wrong argument is reported at once. */
import { parseDuration } from '../../src/config/value-parsers.ts'

/** The parts in the order of RESULTS.md, and the duration that may follow the name of a part after `=`. */
export const partArguments = {
  streaming: undefined,
  manifests: undefined,
  'first-byte': undefined,
  'slow-readers': undefined,
  'cold-image': undefined,
  cache: undefined,
  'cache-entries': undefined,
  'requests-per-pull': undefined,
  'restricted-index': 'a duration such as 1h: all of QCI, for as long at most',
  'image-stream-claims': undefined,
  mirror: undefined,
  hostile: 'a duration of each measurement, such as 10s',
  soak: 'a duration such as 10m',
} as const satisfies Readonly<Record<string, string | undefined>>

export type PartName = keyof typeof partArguments

export interface Chosen {
  readonly name: PartName
  readonly argument: string | undefined
}

/** Reported without a stack, and with the list of the parts. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Measured only if they are named: it takes minutes to write a million files. */
const named: ReadonlySet<string> = new Set(['cache-entries'])

const names = Object.keys(partArguments) as PartName[]

/** @throws {UsageError} for the name of no part, and for a wrong argument behind a name */
export const choose = (args: readonly string[]): readonly Chosen[] => {
  if (args.length === 0)
    return names.filter((name) => !named.has(name)).map((name) => ({ name, argument: undefined }))
  return args.map((text) => {
    const [given = '', argument] = text.split('=')
    const name = names.find((candidate) => candidate === given)
    if (name === undefined) throw new UsageError(`there is no part ${given}`)
    const expected = partArguments[name]
    if (argument !== undefined && expected === undefined) throw new UsageError(`${name} takes no argument`)
    if (argument !== undefined && parseDuration(argument) === undefined)
      throw new UsageError(`${text}: expected ${expected}`)
    return { name, argument }
  })
}

export const usage = (): string =>
  [
    'the parts are',
    ...Object.entries(partArguments).map(([name, argument]) =>
      [`  ${name}`, argument && `[=${argument}]`, named.has(name) && ' (only if it is named)']
        .filter((text) => typeof text === 'string')
        .join(''),
    ),
    '',
  ].join('\n')
