import t from 'tap'
import {
  address,
  duration,
  durationAboveZero,
  file,
  flag,
  givenOrNot,
  listOf,
  matching,
  nonEmpty,
  oneOf,
  positive,
  repeatedFlag,
  size,
  trueOrFalse,
  type Kind,
} from '../../src/config/flag-kinds.ts'

await t.test('a row of the table', async (test) => {
  test.match(flag('log-level', 'info', 'lowest level', oneOf('info', 'warn')), {
    name: 'log-level',
    fallback: 'info',
    help: 'lowest level',
    expected: 'info or warn',
    choices: ['info', 'warn'],
    form: 'value',
  })
  test.match(repeatedFlag('as', 'who logs in', { expected: 'a user', parse: nonEmpty }), {
    name: 'as',
    fallback: undefined,
    choices: [],
    form: 'repeated',
  })
})

await t.test('a kind of value: what is accepted, what is not, and how it is written', async (test) => {
  const rows: [Kind<unknown>, accepted: [string, unknown][], refused: string[], form?: string][] = [
    [oneOf('a', 'b'), [['b', 'b']], ['', 'c', 'A']],
    [
      trueOrFalse,
      [
        ['true', true],
        ['false', false],
      ],
      ['', 'yes'],
      'boolean',
    ],
    [
      givenOrNot,
      [
        ['true', true],
        ['false', false],
      ],
      ['1'],
      'switch',
    ],
    [size, [['1Ki', 1024]], ['1 KiB']],
    [file, [['/a', '/a']], ['']],
    [
      duration,
      [
        ['0', 0],
        ['1m', 60_000],
      ],
      ['1'],
    ],
    [durationAboveZero('5m'), [['1ms', 1]], ['0', '0s', 'soon']],
    [address, [[':1', { host: '::', port: 1 }]], ['1']],
    [
      positive,
      [
        ['1', 1],
        ['999999', 999_999],
      ],
      ['0', '01', '1000000', '-1', '1e3'],
    ],
    [
      listOf('names', matching(/^[a-z]$/)),
      [
        ['a, b,', ['a', 'b']],
        ['', []],
      ],
      ['a,B'],
    ],
  ]
  for (const [{ expected, parse, form = 'value' }, accepted, refused, expectedForm = 'value'] of rows) {
    for (const [text, value] of accepted) test.strictSame(parse(text), value, `${expected}: ${text}`)
    for (const text of refused) test.equal(parse(text), undefined, `${expected}: ${text}`)
    test.equal(form, expectedForm, expected)
  }
})
