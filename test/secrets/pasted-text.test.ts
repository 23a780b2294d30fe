import t from 'tap'
import { hasInnerBlanks, linesOf, trimBlanks, withoutBlanks } from '../../src/secrets/pasted-text.ts'

const blanks = ['', ' ', '\t', '\0', '\0\0\0', '\r', '\uFEFF', '\u00A0', '\u200B', '\u2060', ' \0\t\uFEFF ']

await t.test('blanks around a text are removed, blanks in it are reported', async (test) => {
  for (const before of blanks)
    for (const after of blanks) {
      test.equal(trimBlanks(`${before}a:b${after}`), 'a:b', JSON.stringify([before, after]))
      test.equal(trimBlanks(before + after), '')
    }
  for (const blank of blanks) test.equal(hasInnerBlanks(`a${blank}b`), blank !== '', JSON.stringify(blank))
})

/** One of each property, and none of a list: what chats, web pages, word processors and keyboards leave behind. */
const unshown =
  '\u0085\u00ad\u034f\u061c\u115f\u1680\u180e\u2003\u200e\u2028\u202e\u2062\u2068\u2069\u3000\u3164\ufe0f\ufff9\u{e0020}\u{e0100}\u{1d173}'

await t.test('an invisible character is a blank, whatever its name and number of units', async (test) => {
  for (const blank of Array.from(unshown)) {
    const name = `U+${blank.codePointAt(0)?.toString(16)}`
    test.equal(trimBlanks(`${blank}${blank}a:b${blank}`), 'a:b', name)
    test.equal(trimBlanks(blank), '', name)
    test.ok(hasInnerBlanks(`a${blank}b`), name)
    test.equal(withoutBlanks(`${blank}a${blank}b`), 'ab', name)
  }
  for (const seen of ['\u{1f600}', '\ud83d', '\ude00', '\u00e9', '\u05d0', '.'])
    for (const text of [seen, `${seen}a${seen}`, `a${seen}`]) {
      test.equal(trimBlanks(text), text)
      test.notOk(hasInnerBlanks(text))
    }
})

await t.test('lines are split at line ends of any system, without empty ones', async (test) => {
  for (const end of ['\n', '\r\n', '\r', '\n\n', ' \r\n\0\n', '\0\n'])
    for (const start of blanks)
      test.strictSame(linesOf(`${start}one${end}two${end}`), ['one', 'two'], JSON.stringify([start, end]))
  test.strictSame(linesOf('\uFEFF \r\n\0\n'), [])
})

await t.test('attack: a long run of blanks takes linear time', async (test) => {
  const run = ' '.repeat(1_000_000)
  test.equal(trimBlanks(`a${run}b${run}`).length, 1_000_002)
})
