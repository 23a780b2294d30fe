import t from 'tap'
import { createUnexpectedErrors } from '../../src/telemetry/unexpected-errors.ts'

await t.test('each kind of error is logged once, with its place', async (test) => {
  const lines: unknown[] = []
  const { report } = createUnexpectedErrors({ error: (fields: unknown) => void lines.push(fields) } as never)
  report('record', new TypeError('a'))
  report('record', new TypeError('b'))
  report('record', new RangeError('c'))
  report('audit', new TypeError('d'))
  report('audit', 'thrown')
  test.match(lines, [
    { where: 'record', err: { message: 'a' }, stack: /TypeError: a\n/ },
    { where: 'record', err: { message: 'c' } },
    { where: 'audit', err: { message: 'd' } },
  ])
  test.equal(lines.length, 3, 'a thrown text is a TypeError of its own, told already')
})
