/** The fields of the log, as docs/log.md has them. */
import { readFileSync } from 'node:fs'

const text = readFileSync('docs/log.md', 'utf8')

/** The values in the last column of a row. */
function valuesIn(name: string): readonly string[] {
  const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` `)) ?? ''
  return [...(row.split('|').at(-2) ?? '').matchAll(/`([^`]+)`/g)].map(([, value = '']) => value)
}

const rows = [...text.matchAll(/^\| `([\w.]+)` +\| `(\w+)` +\|/gm)]

/** Name, with those of the objects around it -> type. */
export const documentedFields: ReadonlyMap<string, string> = new Map(
  rows.map(([, name = '', type = '']) => [name, type]),
)

/** Fields with a closed set of values, each in backticks in its row. */
export const closedFields = [
  'level',
  'kind',
  'decision',
  'refused.by',
  'refused.tokenKind',
  'state',
  'failure',
  'phase',
  'difference',
] as const

/** Name -> the values that the document gives for it. */
export const documentedValues: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  closedFields.map((name) => [name, new Set(valuesIn(name))] as const),
)

const typeOf = (value: unknown): string => {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string') ? 'list' : 'list of others'
  return value === null ? 'null' : typeof value
}

const errorKeys = new Set(['type', 'message', 'code', 'cause'])

const isError = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.entries(value).every(
    ([key, inner]) => errorKeys.has(key) && (key === 'cause' ? isError(inner) : typeof inner === 'string'),
  )

const wrongIn = (value: object, prefix: string): string[] =>
  Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const name = `${prefix}${key}`
    const type = documentedFields.get(name)
    if (type === 'error') return isError(inner) ? [] : [`${name} is no error`]
    if (type !== typeOf(inner))
      return [`${name} is a ${typeOf(inner)}, and ${type ?? 'nothing'} in docs/log.md`]
    const values = documentedValues.get(name)
    if (typeof inner === 'string' && values?.has(inner) === false)
      return [`${name} is ${inner}, which docs/log.md does not have`]
    return type === 'object' ? wrongIn(inner as object, `${name}.`) : []
  })

/** A sentence for each field of some lines that the document does not have, or has with another type. */
export const undocumentedIn = (lines: readonly (string | object)[]): readonly string[] => [
  ...new Set(
    lines.flatMap((line) => wrongIn((typeof line === 'string' ? JSON.parse(line) : line) as object, '')),
  ),
]
