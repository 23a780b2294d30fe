/** The fields of the log, as docs/log.md has them. */
import { readFileSync } from 'node:fs'

const rows = [...readFileSync('docs/log.md', 'utf8').matchAll(/^\| `([\w.]+)` +\| `(\w+)` +\|/gm)]

/** Name, with those of the objects around it -> type. */
export const documentedFields: ReadonlyMap<string, string> = new Map(
  rows.map(([, name = '', type = '']) => [name, type]),
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
    return type === 'object' ? wrongIn(inner as object, `${name}.`) : []
  })

/** A sentence for each field of some lines that the document does not have, or has with another type. */
export const undocumentedIn = (lines: readonly (string | object)[]): readonly string[] => [
  ...new Set(
    lines.flatMap((line) => wrongIn((typeof line === 'string' ? JSON.parse(line) : line) as object, '')),
  ),
]
