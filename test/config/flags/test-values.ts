import type { Test } from 'tap'
import type { FlagTable } from '../../../src/config/flag-kinds.ts'

/** @param rows key of a flag, text, and its value: undefined for text that is not valid */
export const testValues = <Table extends FlagTable>(
  test: Test,
  flags: Table,
  rows: readonly (readonly [key: keyof Table & string, text: string, value: unknown])[],
): void => {
  for (const [key, text, value] of rows)
    test.strictSame(flags[key]?.parse(text), value, `${key}=${JSON.stringify(text)}`)
}
