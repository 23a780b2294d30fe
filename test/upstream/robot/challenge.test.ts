import t from 'tap'
import { parseChallenge } from '../../../src/upstream/robot/challenge.ts'

const rows = {
  'quay.io': [
    'Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="repository:a/b:pull"',
    { scheme: 'bearer', realm: 'https://quay.io/v2/auth', service: 'quay.io' },
  ],
  'trap 5: names and scheme in any case, spaces between parameters, values without quotes': [
    ' bEARER Service=quay.io , REALM=https://quay.io/v2/auth',
    { scheme: 'bearer', realm: 'https://quay.io/v2/auth', service: 'quay.io' },
  ],
  'an escaped quote and a comma belong to the value': [
    'Bearer realm="https://quay.io/\\"a,b",service="x"',
    { scheme: 'bearer', realm: 'https://quay.io/"a,b', service: 'x' },
  ],
  'empty values': ['Bearer realm="",service=""', { scheme: 'bearer', realm: '', service: '' }],
  'basic, without a service': ['Basic realm="registry"', { scheme: 'basic', realm: 'registry' }],
  'a value without an end is none, and takes nothing with it': [
    'Bearer service=x,realm="https://quay.io/\\',
    { scheme: 'bearer', service: 'x' },
  ],
  'names without a value': ['Bearer realm=,service="x",realm', { scheme: 'bearer', service: 'x' }],
  'what is behind 4 KiB is not read': [
    `Bearer realm="a",${' '.repeat(4096)}service="x"`,
    { scheme: 'bearer', realm: 'a' },
  ],
  'a scheme alone': ['Bearer', { scheme: 'bearer' }],
  'a scheme that registries do not use': ['Negotiate realm="a"', undefined],
  'a scheme that only starts like one': ['Bearers realm="a"', undefined],
  nothing: ['', undefined],
} as const

for (const [name, [header, challenge]] of Object.entries(rows))
  await t.test(name, (test) => {
    test.strictSame(parseChallenge(header), challenge)
    test.end()
  })

await t.test('attack: no challenge takes quadratic time', (test) => {
  // A pattern that begins anew at every character read 32 kB for seconds: 4 KiB of each are read twice at most.
  const chunks = ['a', 'a=', 'a="', '"', '\\"', 'a="\\', '=', 'realm="\\"', ',a', ' ', 'a="b" ', '_="\\\\']
  for (const first of chunks)
    for (const second of chunks) {
      const header = `Bearer realm="r",${(first + second).repeat(16_000)}`
      const began = process.cpuUsage()
      test.equal(parseChallenge(header)?.scheme, 'bearer')
      const { user } = process.cpuUsage(began)
      if (user > 1_000_000) test.fail(`${first}${second} took ${user} microseconds`)
    }
  test.end()
})
