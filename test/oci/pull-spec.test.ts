import t from 'tap'
import { isRegistryHost, parsePullSpec, pullSpecOf } from '../../src/oci/pull-spec.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'

const options = {
  monorepo: 'openshift/ci',
  exposedHost: 'Proxy.example:5000',
  ownerOf: createTagOwner(() => false),
}
const digest = `sha256:${'a'.repeat(64)}`
const parse = (text: string) => parsePullSpec(text, options)

const hosts = [
  '',
  'quay-proxy.ci.openshift.org/',
  'QUAY-PROXY.ci.openshift.org/',
  'registry.ci.openshift.org/',
  'proxy.example:5000/',
  'docker://proxy.example:5000/',
]

await t.test('every host of QCI, or none, with every form of a reference', async (test) => {
  for (const host of [...hosts, 'quay.io/'])
    for (const [spec, expected] of [
      ['openshift/ci:ocp_4.5_base', { kind: 'tag', qciTag: 'ocp_4.5_base' }],
      ['openshift/ci', { kind: 'tag', qciTag: 'latest' }],
      [`openshift/ci@${digest}`, { kind: 'digest', digest }],
      [`openshift/ci:ocp_4.5_base@${digest}`, { kind: 'digest', digest }],
    ] as const)
      test.match(parse(`${host}${spec}`), expected, `${host}${spec}`)
  for (const host of hosts)
    for (const [spec, expected] of [
      ['ocp/4.5:base', { kind: 'tag', qciTag: 'ocp_4.5_base' }],
      ['ocp/4.5', { kind: 'tag', qciTag: 'ocp_4.5_latest' }],
      [`ocp/4.5@${digest}`, { kind: 'digest', digest }],
    ] as const)
      test.match(parse(`${host}${spec}`), expected, `${host}${spec}`)
  test.match(parse(digest), { kind: 'digest', repository: { form: 'monorepo' } })
})

await t.test(
  'a foreign registry, or another repository of quay.io, is refused rather than explained',
  async (test) => {
    for (const [text, message] of [
      [
        'quay.io/openshift-release-dev/ocp-v4.0-art-dev:4.22-x',
        'quay.io/openshift-release-dev/ocp-v4.0-art-dev is another repository than quay.io/openshift/ci',
      ],
      ['quay.io/ocp/4.5:base', 'quay.io/ocp/4.5 is another repository'],
      ['quay.io/a/b/c:d', 'another repository'],
      ['quay.io/openshift/ci/a:b', 'whose repositories have two components'],
      [
        'registry.build02.ci.openshift.org/ocp/4.5:base',
        'registry.build02.ci.openshift.org is another registry',
      ],
      ['docker.io/library/busybox', 'docker.io is another registry'],
      ['localhost/ocp/4.5:base', 'localhost is another registry'],
      ['localhost:5000/ocp/4.5:base', 'localhost:5000 is another registry'],
      ['q.io/base', 'q.io is another registry'],
    ] as const)
      test.throws(() => parse(text), { message: new RegExp(RegExp.escape(message)) }, text)
  },
)

await t.test('tag and digest are read as a whole', async (test) => {
  test.throws(() => parse(`openshift/ci@${digest}@x`), { code: 'DIGEST_INVALID' })
  test.throws(() => parse('ocp/4.5:base:x'), { code: 'DIGEST_INVALID' })
  test.throws(() => parse('ocp/4.5:'), { code: 'TAG_INVALID' })
  test.throws(() => parse('OCP/4.5:base'), { code: 'NAME_INVALID' })
})

await t.test('a repository with other than two components', async (test) => {
  for (const host of hosts)
    for (const spec of [
      'base',
      'base:tag',
      'openshift/ci/aws-cluster-api-controllers',
      `openshift/ci/x@${digest}`,
      'a/b/c/d:e',
      '',
    ])
      test.throws(
        () => parse(`${host}${spec}`),
        { message: /two components; expected ocp\/4\.5:base/ },
        `${host}${spec}`,
      )
})

await t.test('the pull spec of a reference, in both forms', async (test) => {
  for (const spec of [
    'ocp/4.5:base',
    'openshift/ci:ocp_4.5_base',
    `ocp/4.5@${digest}`,
    `openshift/ci@${digest}`,
  ])
    test.equal(pullSpecOf(parse(spec), 'proxy.example'), `proxy.example/${spec}`)
})

await t.test('a registry has a dot or a port, or is localhost', async (test) => {
  for (const host of ['quay.io', 'localhost', 'localhost:5000', 'a:1']) test.ok(isRegistryHost(host), host)
  for (const name of ['ocp', 'library', '']) test.notOk(isRegistryHost(name), name)
})
