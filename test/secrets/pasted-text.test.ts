import t from 'tap'
import { hasInnerBlanks, linesOf, trimBlanks } from '../../src/secrets/pasted-text.ts'

const blanks = ['', ' ', '\t', '\0', '\0\0\0', '\r', '\uFEFF', '\u00A0', '\u200B', '\u2060', ' \0\t\uFEFF ']

await t.test(
  'whatever stands around a text is not part of it, whatever stands in it is told',
  async (test) => {
    for (const before of blanks)
      for (const after of blanks) {
        test.equal(trimBlanks(`${before}a:b${after}`), 'a:b', JSON.stringify([before, after]))
        test.equal(trimBlanks(before + after), '')
      }
    for (const blank of blanks) test.equal(hasInnerBlanks(`a${blank}b`), blank !== '', JSON.stringify(blank))
  },
)

await t.test('lines by the ends of any system, those that hold nothing aside', async (test) => {
  for (const end of ['\n', '\r\n', '\r', '\n\n', ' \r\n\0\n', '\0\n'])
    for (const start of blanks)
      test.strictSame(linesOf(`${start}one${end}two${end}`), ['one', 'two'], JSON.stringify([start, end]))
  test.strictSame(linesOf('\uFEFF \r\n\0\n'), [])
})

await t.test('attack: a long run of blanks takes no longer than it is', async (test) => {
  const run = ' '.repeat(1_000_000)
  test.equal(trimBlanks(`a${run}b${run}`).length, 1_000_002)
})
