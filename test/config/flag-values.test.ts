import t from 'tap'
import { flag, givenOrNot, nonEmpty, positive, repeatedFlag } from '../../src/config/flag-kinds.ts'
import { parseCommand, parseValues } from '../../src/config/flag-values.ts'

const flags = {
  count: flag('count', '1', 'how many', positive),
  from: flag('from', undefined, 'where it begins', positive),
  isQuick: flag('quick', 'false', 'whether it is quick', givenOrNot),
  names: repeatedFlag('name', 'a name', { expected: 'a name', parse: nonEmpty }),
}

await t.test('values under their keys, with fallbacks', async (test) => {
  test.strictSame(parseCommand({ flags }, [], {}), {
    values: { count: 1, from: undefined, isQuick: false, names: [] },
    positionals: [],
  })
  test.strictSame(parseCommand({ flags }, ['--name=a', '--quick', '--name=b'], { QUAY_PROXY_COUNT: '2' }), {
    values: { count: 2, from: undefined, isQuick: true, names: ['a', 'b'] },
    positionals: [],
  })
})

await t.test('texts that are not valid: a sentence each, and no value', async (test) => {
  const problems: string[] = []
  const given = new Map([
    ['from', { texts: ['x'], origin: 'QUAY_PROXY_FROM' }],
    ['names', { texts: ['a', ''], origin: '--name' }],
  ])
  test.strictSame(parseValues(flags, given, problems).from, undefined)
  test.strictSame(problems, [
    'QUAY_PROXY_FROM=x is not valid: expected a number from 1',
    '--name= is not valid: expected a name',
  ])
  test.throws(() => parseCommand({ flags }, ['--count=0', 'there'], {}), {
    name: 'ConfigError',
    problems: [
      '"there" is not a flag; flags begin with --',
      '--count=0 is not valid: expected a number from 1',
    ],
  })
})

await t.test('attack: a password in a URL is not printed', async (test) => {
  test.throws(() => parseCommand({ flags }, ['--from=redis://a:hunter2@b'], {}), {
    message: '--from=***@b is not valid: expected a number from 1',
  })
})
