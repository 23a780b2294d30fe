import t from 'tap'
import { RegistryError, type ErrorCode } from '../../src/oci/errors.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import {
  isDigest,
  isQciTag,
  parseDigest,
  parseReference,
  parseRepository,
  type TagOwner,
} from '../../src/oci/reference.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const monorepo = 'openshift/ci'
const hex = '0123456789abcdef'.repeat(4)
const sha256 = parseDigest(`sha256:${hex}`)
const stamp = '20240603235401'

const parse = (text: string) => {
  const [, namespace = '', name = '', reference = ''] = /^([^/]*)\/([^:@]*)[:@](.*)$/su.exec(text) ?? []
  return parseReference(parseRepository(namespace, name, monorepo), reference, ownerOf)
}

const stream = (namespace: string, name?: string): TagOwner => ({
  by: 'image-stream',
  imageStream: name === undefined ? { namespace } : { namespace, name },
})
const byDigest: TagOwner = { by: 'digest', digest: sha256 }
const qci: TagOwner = { by: 'qci' }

const codeOf = (work: () => unknown): { code: ErrorCode; message: string; status: number } => {
  try {
    work()
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

await t.test('tags: their name in QCI, and their owner', async (test) => {
  const rows: readonly (readonly [string, string, TagOwner])[] = [
    // The table of the design.
    ['openshift/ci:ocp_4.5_base', 'ocp_4.5_base', stream('ocp', '4.5')],
    ['ocp/4.5:base', 'ocp_4.5_base', stream('ocp', '4.5')],
    [`openshift/ci:${stamp}_prune_ocp_4.15_base`, `${stamp}_prune_ocp_4.15_base`, stream('ocp', '4.15')],
    [`openshift/ci:20231029_sha256_${hex}`, `20231029_sha256_${hex}`, byDigest],
    ['openshift/ci:ocp__component', 'ocp__component', qci],
    ['openshift/ci:latest', 'latest', qci],
    [`openshift/ci:${stamp}_prune_latest`, `${stamp}_prune_latest`, qci],
    // Ambiguous: a/b:c_d and a/b_c:d are one tag.
    ['openshift/ci:a_b_c_d', 'a_b_c_d', stream('a')],
    ['a/b:c_d', 'a_b_c_d', stream('a')],
    ['a/b_c:d', 'a_b_c_d', stream('a')],
    ['a/b__c:d', 'a_b__c_d', stream('a')],
    // Certain, since the other cuts leave no image stream or no tag.
    ['ocp/4.5:_base', 'ocp_4.5__base', stream('ocp', '4.5')],
    ['ocp/4.5:Base_x', 'ocp_4.5_Base_x', stream('ocp', '4.5')],
    ['openshift/ci:ocp_4.5_', 'ocp_4.5_', stream('ocp')],
    ['openshift/ci:ocp_A_b', 'ocp_A_b', stream('ocp')],
    ['openshift/ci:ocp_a_.b', 'ocp_a_.b', stream('ocp')],
    // Parts are missing, or the first is no namespace.
    ['openshift/ci:ocp_4.5', 'ocp_4.5', stream('ocp')],
    ['openshift/ci:ocp_', 'ocp_', stream('ocp')],
    ['openshift/ci:_ocp_4.5', '_ocp_4.5', qci],
    ['openshift/ci:__', '__', qci],
    ['openshift/ci:OCP_4.5_base', 'OCP_4.5_base', qci],
    ['openshift/ci:o.c_4.5_base', 'o.c_4.5_base', qci],
    ['openshift/ci:ocp-_4.5_base', 'ocp-_4.5_base', qci],
    [`openshift/ci:${'n'.repeat(64)}_a_b`, `${'n'.repeat(64)}_a_b`, qci],
    [`openshift/ci:${'n'.repeat(63)}_a_b`, `${'n'.repeat(63)}_a_b`, stream('n'.repeat(63), 'a')],
    // Prunes are judged as what they were.
    [`openshift/ci:${stamp}_prune_a_b_c_d`, `${stamp}_prune_a_b_c_d`, stream('a')],
    [
      `openshift/ci:${stamp}_prune_ocp-priv_4.15_base`,
      `${stamp}_prune_ocp-priv_4.15_base`,
      stream('ocp-priv', '4.15'),
    ],
    [
      `openshift/ci:${stamp}_prune_${stamp}_prune_ocp-priv_4.15_base`,
      `${stamp}_prune_${stamp}_prune_ocp-priv_4.15_base`,
      stream('ocp-priv', '4.15'),
    ],
    [`openshift/ci:${stamp}_prune_20231029_sha256_${hex}`, `${stamp}_prune_20231029_sha256_${hex}`, byDigest],
    [`openshift/ci:${stamp}_prune_`, `${stamp}_prune_`, qci],
    [`openshift/ci:${stamp.slice(1)}_prune_a_b`, `${stamp.slice(1)}_prune_a_b`, stream(stamp.slice(1))],
    // What hangs on an image by the digest in its tag.
    [`openshift/ci:sha256-${hex}.sig`, `sha256-${hex}.sig`, byDigest],
    [`openshift/ci:sha256-${hex}.att`, `sha256-${hex}.att`, byDigest],
    [`openshift/ci:sha256-${hex}`, `sha256-${hex}`, byDigest],
    [`openshift/ci:sha256-${hex}_a_b`, `sha256-${hex}_a_b`, qci],
    // Beside whatever name was pulled: it is in the monorepo once.
    [`ocp/4.5:sha256-${hex}`, `sha256-${hex}`, byDigest],
    [`ocp/4.5:sha256-${hex}.sig`, `sha256-${hex}.sig`, byDigest],
    [`ocp-priv/4.5:sha256-${hex}.att`, `sha256-${hex}.att`, byDigest],
    [`${'n'.repeat(63)}/${'a'.repeat(64)}:sha256-${hex}.sbom`, `sha256-${hex}.sbom`, byDigest],
    [`openshift/ci:ocp_4.5_sha256-${hex}.sig`, `ocp_4.5_sha256-${hex}.sig`, stream('ocp', '4.5')],
    [`ocp/4.5:sha256-${hex}_sig`, `ocp_4.5_sha256-${hex}_sig`, stream('ocp')],
    // The families of other writers.
    ['openshift/ci:art__my-team_app_x', 'art__my-team_app_x', stream('my-team', 'app')],
    ['openshift/ci:rc_payload__4.20.0', 'rc_payload__4.20.0', qci],
    ['openshift/ci:tomorrow__ocp-priv_x', 'tomorrow__ocp-priv_x', stream('ocp-priv')],
    ['art/x:y', 'art_x_y', stream('art', 'x')],
    ['rc/payload:y', 'rc_payload_y', stream('rc', 'payload')],
    ['art-builder-priv/x:y', 'art-builder-priv_x_y', stream('art-builder-priv')],
    // Nearly a dated digest.
    [`openshift/ci:2023102_sha256_${hex}`, `2023102_sha256_${hex}`, stream('2023102', 'sha256')],
    [`openshift/ci:20231029_sha256_${hex}0`, `20231029_sha256_${hex}0`, stream('20231029', 'sha256')],
    ['20231029/sha256:latest', '20231029_sha256_latest', stream('20231029', 'sha256')],
    // The image stream form of names that only look like the monorepo.
    ['openshift/ci-x:a', 'openshift_ci-x_a', stream('openshift', 'ci-x')],
    ['n/a.b-c--d:e', 'n_a.b-c--d_e', stream('n', 'a.b-c--d')],
  ]
  for (const [text, qciTag, owner] of rows) {
    const reference = parse(text)
    test.match(reference, { kind: 'tag', qciTag, tag: text.slice(text.indexOf(':') + 1) }, text)
    test.strictSame(reference.kind === 'tag' && reference.owner, owner, text)
    test.ok(isQciTag(qciTag))
    test.strictSame(ownerOf(qciTag), owner, 'a list of tags reads it alike')
  }
})

await t.test('digests are parsed', async (test) => {
  for (const digest of [sha256, parseDigest(`sha512:${hex}${hex}`)]) {
    test.strictSame(parse(`openshift/ci@${digest}`), {
      kind: 'digest',
      repository: { form: 'monorepo', path: monorepo },
      digest,
    })
    test.strictSame(parse(`ocp/4.5@${digest}`), {
      kind: 'digest',
      repository: { form: 'image-stream', path: 'ocp/4.5', namespace: 'ocp', name: '4.5' },
      digest,
    })
    test.equal(isDigest(digest), true)
  }
})

await t.test('an invalid digest is DIGEST_INVALID, never a tag', async (test) => {
  for (const text of [
    'sha256:',
    ':',
    `sha256:${hex.slice(1)}`,
    `sha256:${hex}0`,
    `sha256:${hex.toUpperCase()}`,
    `SHA256:${hex}`,
    `sha256:${hex}\n`,
    ` sha256:${hex}`,
    `sha256:${hex}/../../x`,
    `sha512:${hex}`,
    `sha384:${hex}${hex.slice(32)}`,
    `md5:${hex.slice(32)}`,
    `sha256+b64:${hex}`,
    'latest:latest',
  ]) {
    test.match(
      codeOf(() => parse(`openshift/ci@${text}`)),
      { code: 'DIGEST_INVALID', status: 400 },
      text,
    )
    test.equal(isDigest(text), false)
  }
})

await t.test('an invalid tag is TAG_INVALID', async (test) => {
  for (const text of [
    '',
    '.a',
    '-a',
    'a/b',
    '..',
    'a b',
    'a\n',
    'a\0',
    'a%2Fb',
    'a?b',
    'a#b',
    'b\u00e4',
    '\u{1f40b}',
    'a'.repeat(129),
  ]) {
    for (const repository of ['openshift/ci', 'ocp/4.5'])
      test.match(
        codeOf(() => parse(`${repository}:${text}`)),
        { code: 'TAG_INVALID', status: 404 },
        text,
      )
    test.equal(isQciTag(text), false)
  }
  test.equal(parse(`openshift/ci:${'a'.repeat(128)}`).kind, 'tag')
})

await t.test('trap 27: a joined tag that is too long is MANIFEST_UNKNOWN', async (test) => {
  const longest = 'a'.repeat(128 - 'ocp_4.5_'.length)
  test.match(parse(`ocp/4.5:${longest}`), { qciTag: `ocp_4.5_${longest}` })
  const { code, status, message } = codeOf(() => parse(`ocp/4.5:${longest}a`))
  test.equal(code, 'MANIFEST_UNKNOWN')
  test.equal(status, 404)
  test.match(message, `ocp/4.5:${longest}a cannot be in QCI`)
  test.match(message, 'would have 129 characters, 128 is the most')
})

await t.test('attack: an image stream form whose tag is not of its namespace', async (test) => {
  for (const text of [
    `${stamp}/prune:ocp_4.15_base`,
    `${stamp}/prune:latest`,
    `${stamp}/prune:ocp-priv_4.15_base`,
    `${stamp}/prune_ocp-priv:base`,
    `${stamp}/prune_${stamp}_prune_ocp:base`,
    `${stamp}/prune:20231029_sha256_${hex}`,
    `20231029/sha256:${hex}`,
    'rc/payload:_4.20.0',
    'art-builder-x/a:b',
    'my-team/app:x__ocp-priv_4.5_base',
    `my-team/app:x__${stamp}_prune_ocp-priv_4.5_base`,
  ])
    test.match(
      codeOf(() => parse(text)),
      { code: 'NAME_INVALID', status: 400, message: 'reads as another form' },
      text,
    )
  test.match(
    parse(`${stamp}/prune:${stamp}_a_b`),
    { owner: { imageStream: { namespace: stamp } } },
    'its own namespace lends nobody anything',
  )
})

await t.test('trap 33: a name is one namespace and one component, or NAME_INVALID', async (test) => {
  for (const [namespace, name] of [
    ['', 'a'],
    ['OCP', 'a'],
    ['o_c', 'a'],
    ['o.c', 'a'],
    ['-o', 'a'],
    ['o-', 'a'],
    ['o\0', 'a'],
    ['ocp\n', 'a'],
    ['..', 'a'],
    ['a/b', 'c'],
    ['\u00f6cp', 'a'],
    ['o\u0441p', 'a'],
    ['n'.repeat(64), 'a'],
    ['ocp', ''],
    ['ocp', 'A'],
    ['ocp', '.'],
    ['ocp', '..'],
    ['ocp', 'a/b'],
    ['ocp', 'a%2fb'],
    ['ocp', '_a'],
    ['ocp', 'a_'],
    ['ocp', 'a___b'],
    ['ocp', 'a..b'],
    ['ocp', 'a\0'],
    ['ocp', 'a\n'],
    ['ocp', '\u{1f40b}'],
    ['ocp', 'a'.repeat(252)],
    ['openshift', 'CI'],
    ['Openshift', 'ci'],
  ] as const) {
    const { code, message } = codeOf(() => parseRepository(namespace, name, monorepo))
    test.equal(code, 'NAME_INVALID', JSON.stringify([namespace, name]))
    test.match(message, 'ask for openshift/ci:<namespace>_<name>_<tag> or <namespace>/<name>:<tag>')
    test.match(message, /^[\x20-\x7e]*$/, 'printable')
  }
  test.equal(parseRepository('ocp', 'a'.repeat(251), monorepo).path.length, 255)
  test.equal(parseRepository('n'.repeat(63), 'a', monorepo).form, 'image-stream')
})

await t.test('the path of the monorepo is configurable', async (test) => {
  test.strictSame(parseRepository('Some', 'Where', 'Some/Where'), { form: 'monorepo', path: 'Some/Where' })
  test.equal(parseRepository('openshift', 'ci', 'some/where').form, 'image-stream')
})

await t.test('a message quotes the request, short, and cannot forge a line in a terminal', async (test) => {
  const { message } = codeOf(() => parseDigest(`\u001b[2J\n"\u{1f40b}${'x'.repeat(500)}`))
  test.match(message, /^"\?\[2J\?\\"\?\?x{72}\.\.\." is not a digest; expected sha256: and 64, /)
})

await t.test('attack: hostile lengths take no long time', async (test) => {
  // A pattern that goes back over what it has read takes longer for these than a test may.
  const length = 1_000_000
  for (const text of [
    'a'.repeat(length),
    'a-'.repeat(length),
    '_'.repeat(length),
    `${'a_'.repeat(length)}!`,
  ]) {
    test.throws(() => parse(`ocp/${text}:latest`), RegistryError)
    test.throws(() => parse(`openshift/ci:${text}`), RegistryError)
    test.throws(() => parseDigest(text), RegistryError)
  }
})
