import t from 'tap'
import { parseChallenge } from '../../../src/quay/robot/challenge.ts'

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
