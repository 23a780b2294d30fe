import t from 'tap'
import { printable } from '../../src/mirror/printable.ts'

await t.test('attack: control characters are replaced, and letters of any language stay', (test) => {
  test.equal(printable('a\u001b[31m\n\u202eé'), 'a?[31m??é')
  test.end()
})
