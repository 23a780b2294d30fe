import t from 'tap'
import {
  cautionsAboutTokenSecret,
  parseStrongTokenSecret,
  parseTokenSecret,
} from '../../src/secrets/token-secret.ts'

const good = '5e1d8a07c3f94b62a0d71e3c9b58f640'

await t.test('each line has one secret, the signing one first, and gives a key of 256 bits', async (test) => {
  const [one, two, ...more] = parseTokenSecret([
    '\uFEFF  first secret of many \0\n\nsecond secret of all\r\n',
  ])
  test.strictSame([one?.length, two?.length, more.length], [32, 32, 0])
  for (const same of ['first secret of many', 'first secret of many\0', ' first secret of many\r'])
    test.strictSame(parseTokenSecret([same]), [one])
})

await t.test(
  'an empty file is refused, whatever the flag; a short secret is accepted without it',
  async (test) => {
    for (const contents of [[], [''], [' \n\n'], ['\uFEFF\r\n\0']])
      for (const parse of [parseTokenSecret, parseStrongTokenSecret])
        test.throws(() => parse(contents), {
          message: 'the token secret file is empty; make one with: openssl rand -hex 32',
        })
    test.equal(parseTokenSecret(['a']).length, 1, 'qci-appci accepted it')
  },
)

await t.test(
  'each weak line is reported with its number and the command; with the flag it is refused',
  async (test) => {
    const short =
      /^line 1 of the token secret has fewer than 32 characters: .*; make one with: openssl rand -hex 32$/
    const pattern = /^line 2 of the token secret repeats itself, .*openssl rand -hex 32$/
    for (const [content, cautions] of [
      [good, []],
      [`${good}\r\n${good}\0\n`, []],
      ['hunter2', [short]],
      [`${good}\n${'hunter2'.repeat(6)}`, [pattern]],
      [`hunter2\n${'hunter2'.repeat(6)}`, [short, pattern]],
    ] as const) {
      const told = cautionsAboutTokenSecret([content])
      test.strictSame(told.length, cautions.length, content)
      test.match(told, cautions)
      test.notMatch(told.join('\n'), /hunter/)
      if (cautions.length === 0)
        test.strictSame(parseStrongTokenSecret([content]), parseTokenSecret([content]))
      else
        test.throws(() => parseStrongTokenSecret([content]), {
          message: `${told.join('; ')}; --require-strong-secrets refuses that`,
        })
    }
    for (const parse of [parseStrongTokenSecret, cautionsAboutTokenSecret])
      test.doesNotThrow(() => parse([good, 'hunter2']), 'the file is one')
  },
)

await t.test('blanks inside a line are reported, and not refused', async (test) => {
  for (const blank of [' ', '\t', '\0', '\u00A0']) {
    const content = `${good}\n${good.slice(0, 16)}${blank}${good.slice(16)}`
    test.match(cautionsAboutTokenSecret([content]), [
      /^line 2 of the token secret has white space or control characters inside: check/,
    ])
    test.equal(parseStrongTokenSecret([content]).length, 2)
  }
  test.strictSame(cautionsAboutTokenSecret([]), [])
})
