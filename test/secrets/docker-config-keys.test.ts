import t from 'tap'
import { matchingKeys } from '../../src/secrets/docker-config-keys.ts'

const target = (upstream = 'https://quay.io', repository = 'openshift/ci') => ({
  upstream: new URL(upstream),
  repository,
})
const isFor = (key: string, upstream?: string, repository?: string): boolean =>
  matchingKeys([key], target(upstream, repository)).length === 1

await t.test('a key with blanks, and a version in any letter case', async (test) => {
  for (const key of [
    ' quay.io ',
    '\u00a0quay.io',
    'quay.io\u200e',
    '\ufeffhttps://quay.io',
    'HTTPS://QUAY.IO/V2/',
    'quay.io/V1',
  ])
    test.ok(isFor(key), JSON.stringify(key))
  for (const key of ['quay. io', 'quay.io/V3', 'quay.io/v2x', 'docker://quay.io']) test.notOk(isFor(key), key)
})

/** Every way to write a host and a path. */
const spellings = (host: string, path: string): readonly string[] =>
  ['', 'https://', 'http://', 'HTTPS://', ' https://'].flatMap((scheme) =>
    ['', '/v1', '/v2'].flatMap((version) =>
      ['', '/', '//'].map((end) => `${scheme}${host}${version}${path}${end}`),
    ),
  )

const hosts: Readonly<Record<string, readonly (readonly [host: string, matches: boolean])[]>> = {
  'https://quay.io': [
    ['quay.io', true],
    ['Quay.IO', true],
    ['quay.io:443', true],
    ['*.io', true],
    ['quay.*', true],
    ['*.*', true],
    ['q*y.i*', true],
    ['q*a*y.io', true],
    ['*quay*.io', true],
    ['quay.io:80', false],
    ['quay.io:8443', false],
    ['*', false],
    ['*.quay.io', false],
    ['*.*.io', false],
    ['q*a*a*y.io', false],
    ['q*x*y.io', false],
    ['qua*uay.io', false],
    ['x*.io', false],
    ['quay*x.io', false],
    ['quay.io.example.com', false],
    ['example.com', false],
    ['user@quay.io', false],
    [':hunter2@quay.io', false],
    ['quay.io@example.com', false],
    ['docker://quay.io', false],
    ['', false],
  ],
  'https://quay.io:8443': [
    ['quay.io:8443', true],
    ['*.io:8443', true],
    ['quay.io', false],
    ['quay.io:443', false],
    ['quay.io:*', false],
  ],
  'http://cache.ci.svc': [
    ['cache.ci.svc', true],
    ['cache.ci.svc:80', true],
    ['*.ci.svc', true],
    ['cache.ci.svc:443', false],
    ['*.svc', false],
  ],
  'http://[::1]:5000': [
    ['[::1]:5000', true],
    ['[0:0:0:0:0:0:0:1]:5000', true],
    ['[::1]', false],
    ['::1:5000', false],
  ],
}

const paths: readonly (readonly [path: string, matches: boolean])[] = [
  ['', true],
  ['/openshift', true],
  ['/openshift/ci', true],
  ['/openshift?x=y', true],
  ['/openshift/ci/x', false],
  ['/openshift/c', false],
  ['/open', false],
  ['/Openshift/ci', false],
  ['/openshift/*', false],
  ['/ci', false],
]

await t.test('every spelling of every scope matches, for every upstream', async (test) => {
  let asked = 0
  for (const [upstream, rows] of Object.entries(hosts))
    for (const [host, isHost] of rows)
      for (const [path, isPath] of paths)
        for (const key of spellings(host, path)) {
          asked++
          if (isFor(key, upstream) !== (isHost && isPath)) test.fail(`${key} for ${upstream}`)
        }
  test.ok(asked > 10_000)
})

await t.test(
  'the longest path is first, a host without * is before one with *, no scheme is before a scheme',
  async (test) => {
    const ordered = [
      'quay.io/openshift/ci',
      'https://quay.io/v2/openshift/ci/',
      '*.io/openshift/ci',
      'quay.io/openshift',
      '*.io/openshift',
      'QUAY.io',
      'quay.io/v1/',
      'https://quay.io',
      'quay.*',
      'https://*.io',
    ]
    const others = [
      'quay.io/openshift/release',
      '*.quay.io',
      'registry.ci.openshift.org',
      'https://index.docker.io/v1/',
    ]
    for (let turn = 0; turn < ordered.length; turn++) {
      const shuffled = [...ordered.slice(turn), ...others, ...ordered.slice(0, turn)]
      const found = matchingKeys(shuffled, target())
      // Two that say the same stay in the order of the file.
      const asOrdered = (key: string) => (['QUAY.io', 'quay.io/v1/'].includes(key) ? 'host' : key)
      test.strictSame(found.map(asOrdered), ordered.map(asOrdered), shuffled.join(' '))
    }
    test.strictSame(matchingKeys(['quay.io', 'QUAY.IO'], target()), ['quay.io', 'QUAY.IO'])
    test.strictSame(matchingKeys(['QUAY.IO', 'quay.io'], target()), ['QUAY.IO', 'quay.io'])
    test.strictSame(matchingKeys(others, target()), [])
  },
)

await t.test('attack: a key of many stars takes linear time', async (test) => {
  test.equal(isFor(`${'*a'.repeat(5000)}.io`, `https://${'a'.repeat(63)}.io`), false)
})
