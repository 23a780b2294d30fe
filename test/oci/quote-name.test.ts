import t from 'tap'
import { quoteName } from '../../src/oci/quote-name.ts'

await t.test('short, on one line, and in quotes', async (test) => {
  test.equal(quoteName('ocp/4.5'), '"ocp/4.5"')
  test.equal(quoteName('a"b\n\u001b[2J\u00e9'), '"a\\"b??[2J?"')
  test.equal(quoteName('x'.repeat(1000)), `"${'x'.repeat(80)}..."`)
})
