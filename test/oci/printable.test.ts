import t from 'tap'
import { printableAscii } from '../../src/oci/printable.ts'

await t.test('attack: everything that is not printable ASCII is replaced, character by character', (test) => {
  test.equal(printableAscii(' ~az'), ' ~az')
  test.equal(printableAscii('a\u001b[31m\n\u007f\u202e\u00e9'), 'a?[31m????')
  test.end()
})
