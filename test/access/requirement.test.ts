import t from 'tap'
import {
  createRequirements,
  nothingKnown,
  type DigestKnowledge,
  type DigestReach,
} from '../../src/access/requirement.ts'
import { createRestrictedNamespaces } from '../../src/access/restricted-namespaces.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseDigest, parseReference, parseRepository, type ImageStream } from '../../src/oci/reference.ts'
import { knowing } from './knowledge.ts'

const isRestricted = createRestrictedNamespaces(['*-priv'])
const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))
const hexOf = (digit: string) => digit.repeat(64)
const open = { namespace: 'ocp', name: '4.5' }
const restricted = { namespace: 'ocp-priv', name: '4.5' }
const known: Readonly<Record<string, readonly ImageStream[]>> = {
  [hexOf('a')]: [open, restricted],
  [hexOf('b')]: [restricted, { namespace: 'more-priv' }],
}

const requirementsFor = (unknownDigests: 'allow' | 'deny' = 'allow') =>
  createRequirements({
    knowledge: knowing((digest) => known[digest.slice(7)] ?? [], isRestricted),
    isRestricted,
    unknownDigests,
  })

const parse = (path: string, text: string) => {
  const [namespace = '', name = ''] = path.split('/')
  return parseReference(parseRepository(namespace, name, 'openshift/ci'), text, ownerOf)
}

await t.test('a tag requires its image stream, or QCI-wide access unless it is restricted', async (test) => {
  const { reference } = requirementsFor()
  test.strictSame(reference(parse('ocp/4.5', 'base')), {
    imageStreams: [open],
    qciWide: true,
    namespace: 'ocp',
  })
  test.strictSame(reference(parse('openshift/ci', 'ocp-priv_4.5_base')), {
    imageStreams: [restricted],
    qciWide: false,
    namespace: 'ocp-priv',
  })
  test.strictSame(reference(parse('openshift/ci', 'latest')), { imageStreams: [], qciWide: true })
})

await t.test(
  'a digest requires a stream where it was seen; its namespace is an open one, if there is one',
  async (test) => {
    const { reference } = requirementsFor()
    const rows = [
      ['a', { imageStreams: known[hexOf('a')], qciWide: true, namespace: 'ocp' }],
      ['b', { imageStreams: known[hexOf('b')], qciWide: false, namespace: 'more-priv' }],
      ['c', { imageStreams: [], qciWide: true }],
    ] as const
    for (const [digit, expected] of rows) {
      test.strictSame(reference(parse('openshift/ci', `sha256:${hexOf(digit)}`)), expected, digit)
      test.strictSame(reference(parse('openshift/ci', `20240101_sha256_${hexOf(digit)}`)), expected, digit)
    }
    test.equal(
      requirementsFor('deny').reference(parse('openshift/ci', `sha256:${hexOf('c')}`)).qciWide,
      false,
    )
  },
)

await t.test('a digest in an image stream requires this namespace, or QCI-wide access', async (test) => {
  const { reference } = requirementsFor()
  const requirement = (namespace: string) => reference(parse(`${namespace}/x`, `sha256:${hexOf('a')}`))
  test.strictSame(requirement('ocp-priv'), {
    imageStreams: [restricted],
    qciWide: true,
    namespace: 'ocp-priv',
  })
  test.strictSame(requirement('elsewhere'), { imageStreams: [], qciWide: true, namespace: 'elsewhere' })
})

await t.test('lists: an image stream, or images without one', async (test) => {
  const { imageStream } = requirementsFor()
  test.strictSame(imageStream(restricted), {
    imageStreams: [restricted],
    qciWide: false,
    namespace: 'ocp-priv',
  })
  test.strictSame(imageStream(undefined), { imageStreams: [], qciWide: true })
})

const nowhere = nothingKnown.reachOf(parseDigest(`sha256:${hexOf('0')}`))
/** Whether QCI-wide opens a digest of which this is known. */
const opensQciWide = (
  reaches: Readonly<Record<string, Partial<DigestReach>>>,
  more: Partial<DigestKnowledge> = {},
  digest = `sha256:${hexOf('a')}`,
  unknownDigests: 'allow' | 'deny' = 'allow',
  isBlob = false,
) => {
  const knowledge = {
    ...nothingKnown,
    reachOf: (one: string) => ({ ...nowhere, ...reaches[one.slice(7, 8)] }),
    ...more,
  }
  const { reference } = createRequirements({ knowledge, isRestricted, unknownDigests })
  const manifest = parse('openshift/ci', digest)
  return reference(isBlob && manifest.kind === 'digest' ? { ...manifest, content: 'blob' } : manifest).qciWide
}

await t.test(
  'generated: all knowledge about a digest, and whether QCI-wide access opens it',
  async (test) => {
    const flags = [true, false]
    for (const isOpen of flags)
      for (const closes of flags)
        for (const isUnowned of flags)
          for (const isClaimed of flags)
            for (const hasFollowedLive of flags)
              for (const unknownDigests of ['allow', 'deny'] as const) {
                const reach = { isOpen, isRestricted: closes, isUnowned }
                const knowledge = { isClaimed: () => isClaimed, hasFollowedLive: () => hasFollowedLive }
                const opensUnowned = !isClaimed && (isUnowned || unknownDigests === 'allow')
                test.equal(
                  opensQciWide({ a: reach }, knowledge, undefined, unknownDigests),
                  isOpen || (!closes && opensUnowned && (hasFollowedLive || 'later')),
                  JSON.stringify({ ...reach, isClaimed, hasFollowedLive, unknownDigests }),
                )
              }
  },
)

await t.test('attack: an unseen digest of another algorithm is closed', async (test) => {
  const digest = `sha512:${'a'.repeat(128)}`
  test.equal(opensQciWide({}, {}, digest), false)
  test.equal(opensQciWide({ a: { isUnowned: true } }, {}, digest), true)
  test.equal(opensQciWide({ a: { isOpen: true } }, {}, digest), true)
})

await t.test(
  'while a restricted tag cannot be read, a blob that nobody names waits, and a manifest does not',
  async (test) => {
    const parent = parseDigest(`sha256:${hexOf('b')}`)
    const digest = parseDigest(`sha256:${hexOf('a')}`)
    const repository = parseRepository('openshift', 'ci', 'openshift/ci')
    interface Scene {
      readonly unread?: boolean
      readonly own?: Partial<DigestReach>
      readonly parent?: Partial<DigestReach>
    }
    const rows = [
      [{}, {}, 'later'],
      [{ unread: false }, {}, true],
      [{ parent: {} }, {}, true],
      [{ parent: { isOpen: true } }, {}, true],
      [{ parent: { isRestricted: true } }, {}, 'later'],
      [{ own: { isRestricted: true } }, {}, false],
      [{ own: { isRestricted: true }, parent: {} }, {}, true],
      [{}, { hasFollowedLive: () => false }, 'later'],
      [{}, { isClaimed: () => true }, false],
    ] as const
    for (const [scene, more, expected] of rows) {
      const { unread = true, own, parent: above }: Scene = scene
      const knowledge: DigestKnowledge = {
        ...nothingKnown,
        reachOf: (one) => ({ ...nowhere, ...(one === digest ? own : above) }),
        parentsOf: (one) => (one === digest && above !== undefined ? [parent] : []),
        mayBeUnread: () => unread,
        ...more,
      }
      const { reference } = createRequirements({ knowledge, isRestricted, unknownDigests: 'allow' })
      const asked = { kind: 'digest', repository, digest } as const
      test.equal(reference({ ...asked, content: 'blob' }).qciWide, expected, JSON.stringify(scene))
      if (expected === 'later' && !('hasFollowedLive' in more)) test.equal(reference(asked).qciWide, true)
    }
  },
)

await t.test('a blob of restricted images is open if an open or unseen manifest names it', async (test) => {
  const parent = parseDigest(`sha256:${hexOf('b')}`)
  const parentsOf = () => [parent]
  const rows = [
    [{}, {}, true],
    [{ isOpen: true }, {}, true],
    [{ isOpen: true, isRestricted: true }, {}, true],
    [{ isRestricted: true }, {}, false],
    [{ isRestricted: true, isUnowned: true }, {}, false],
    [{ isUnowned: true }, {}, false],
    [{}, { hasFollowedLive: () => false }, false],
    [{}, { isClaimed: () => true }, false],
    [{ isOpen: true }, { isClaimed: () => true }, true],
  ] as const
  for (const [reach, more, expected] of rows) {
    const reaches = { a: { isRestricted: true }, b: reach }
    const knowledge = { parentsOf, ...more }
    test.equal(opensQciWide(reaches, knowledge, undefined, 'allow', true), expected, JSON.stringify(reach))
    test.equal(
      opensQciWide(reaches, knowledge),
      false,
      'attack: a manifest that another one names as its layer',
    )
  }
  test.equal(opensQciWide({ a: { isRestricted: true } }, { parentsOf }, undefined, 'deny', true), false)
  test.equal(opensQciWide({ a: { isRestricted: true } }), false)
})

await t.test('without knowledge, no digest is claimed, and the knowledge is complete', async (test) => {
  const digest = parseDigest(`sha256:${hexOf('a')}`)
  test.strictSame(
    [
      nothingKnown.mayBeUnread(digest),
      nothingKnown.parentsOf(digest),
      nothingKnown.isClaimed(digest),
      nothingKnown.hasFollowedLive(),
    ],
    [false, [], false, true],
  )
})
