import t from 'tap'
import { withinBounds, withoutQueries } from '../../src/telemetry/redaction.ts'

await t.test('URLs x their surroundings: only the query is removed', async (test) => {
  const rows: readonly [text: string, expected: string][] = [
    ['', ''],
    ['what?', 'what?'],
    ['http://a/b?c=d', 'http://a/b?[redacted]'],
    ['HTTPS://a/b?c=d', 'HTTPS://a/b?[redacted]'],
    ['rediss://a/b?c=d', 'rediss://a/b?[redacted]'],
    ['http://a?b, http://c?d', 'http://a?[redacted] http://c?[redacted]'],
    ['"http://a?b","http://c?d"', '"http://a?[redacted]","http://c?[redacted]"'],
    ["'http://a?b' and c", "'http://a?[redacted]' and c"],
    ['http://a?b?c://d?e f', 'http://a?[redacted] f'],
    ['http://http://a?b c', 'http://http://a?[redacted] c'],
    ['http://?b c', 'http://?b c'],
    ['://?http://a?b', '://?http://a?[redacted]'],
    ['http://a b?c', 'http://a b?c'],
    ['http://a?', 'http://a?[redacted]'],
    ['http://a?b\\"c', 'http://a?[redacted]\\"c'],
    ["http://a?b\\'c", "http://a?[redacted]\\'c"],
    ['http://a?b\\\\c d', 'http://a?[redacted] d'],
    ['http://a?b\\', 'http://a?[redacted]\\'],
    ['http://a\\?b', 'http://a\\?b'],
    ['http://a/\u{1f600}?b', 'http://a/\u{1f600}?[redacted]'],
  ]
  for (const [text, expected] of rows) test.equal(withoutQueries(text), expected)
})

await t.test('attack: many beginnings of URLs and one query take linear time', async (test) => {
  for (const text of [
    `?${'http://'.repeat(9000)}`,
    `${'http://'.repeat(9000)}?b`,
    'http://a?'.repeat(9000),
    '://?'.repeat(15_000),
    `http://a?${'\\\\'.repeat(30_000)}`,
    `?${'http://a\\'.repeat(7000)}`,
  ]) {
    const times = Array.from({ length: 5 }, () => {
      const begun = performance.now()
      withoutQueries(text)
      return performance.now() - begun
    })
    test.ok(Math.min(...times) < 50, `${text.slice(0, 20)}: ${Math.min(...times)} ms`)
  }
})

const lineOf = (fields: Readonly<Record<string, unknown>>) => `${JSON.stringify(fields)}\n`
const base = { level: 'info', time: '2026-11-28T00:00:00.000Z' }

await t.test('an ordinary line is not changed', async (test) => {
  const line = lineOf({ ...base, client: 'a'.repeat(1500), msg: 'request' })
  test.equal(withinBounds(line), line)
})

await t.test('fields x lengths: each field and the whole line are cut to a bound', async (test) => {
  for (const length of [3000, 20_000, 64 * 1024, 1024 * 1024])
    for (const fields of [
      { client: 'a'.repeat(length) },
      { err: { message: 'a'.repeat(length), cause: { message: 'a'.repeat(length) } } },
      { msg: 'a'.repeat(length) },
      { list: ['a'.repeat(length), { deep: 'a'.repeat(length) }] },
      { stack: 'a'.repeat(length) },
      { escaped: '\u0001'.repeat(length) },
      { emoji: '\u{1f600}'.repeat(length) },
      Object.fromEntries(
        Array.from({ length: 200 }, (_, index) => [`key${index}`, 'a'.repeat(length / 100)]),
      ),
      { list: Array.from({ length: length / 2 }, () => 'a') },
      { requestId: 'a'.repeat(length), list: Array.from({ length }, () => 1) },
    ]) {
      const line = withinBounds(lineOf({ ...base, ...fields }))
      test.ok(line.length <= 12 * 1024, `${Object.keys(fields)[0]} ${length}: ${line.length}`)
      test.ok(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1)
      test.match(JSON.parse(line), base)
      test.ok(line.isWellFormed())
    }
  test.match(JSON.parse(withinBounds(lineOf({ ...base, client: 'a'.repeat(5000) }))), {
    client: /^a{1024}… \(5000 characters\)$/,
  })
  test.match(JSON.parse(withinBounds(lineOf({ ...base, msg: 'm', many: Array(20_000).fill(1) }))), {
    ...base,
    msg: 'm',
    cut: true,
  })
})
