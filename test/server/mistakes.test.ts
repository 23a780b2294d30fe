import t from 'tap'
import { createMistakes } from '../../src/server/mistakes.ts'

await t.test('each kind once: where it was and what it was', async (test) => {
  const lines: unknown[] = []
  const { tell } = createMistakes({ error: (fields: unknown) => void lines.push(fields) } as never)
  tell('record', new TypeError('a'))
  tell('record', new TypeError('b'))
  tell('record', new RangeError('c'))
  tell('audit', new TypeError('d'))
  tell('audit', 'thrown')
  test.match(lines, [
    { where: 'record', err: { message: 'a' }, stack: /TypeError: a\n/ },
    { where: 'record', err: { message: 'c' } },
    { where: 'audit', err: { message: 'd' } },
  ])
  test.equal(lines.length, 3, 'a thrown text is a TypeError of its own, told already')
})
