import t from 'tap'
import { createDoors } from '../../src/access/doors.ts'
import { createRestricted } from '../../src/access/restricted.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository, type ImageStream } from '../../src/reference.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const hexOf = (digit: string) => digit.repeat(64)
const open = { namespace: 'ocp', name: '4.5' }
const restricted = { namespace: 'ocp-priv', name: '4.5' }
const known: Readonly<Record<string, readonly ImageStream[]>> = {
  [hexOf('a')]: [open, restricted],
  [hexOf('b')]: [restricted, { namespace: 'more-priv' }],
}

const doorsFor = (unknownDigests: 'allow' | 'deny' = 'allow') =>
  createDoors({
    seenIn: (digest) => known[digest.slice(7)] ?? [],
    isRestricted: createRestricted(['*-priv']),
    unknownDigests,
  })

const parse = (path: string, text: string) => {
  const [namespace = '', name = ''] = path.split('/')
  return parseReference(parseRepository(namespace, name, 'openshift/ci'), text, ownerOf)
}

await t.test('a tag: its image stream, and QCI-wide unless it is restricted', async (test) => {
  const { reference } = doorsFor()
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
  'a digest: where it was seen; the place that is told is an open one, if there is',
  async (test) => {
    const { reference } = doorsFor()
    const rows = [
      ['a', { imageStreams: known[hexOf('a')], qciWide: true, namespace: 'ocp' }],
      ['b', { imageStreams: known[hexOf('b')], qciWide: false, namespace: 'more-priv' }],
      ['c', { imageStreams: [], qciWide: true }],
    ] as const
    for (const [digit, expected] of rows) {
      test.strictSame(reference(parse('openshift/ci', `sha256:${hexOf(digit)}`)), expected, digit)
      test.strictSame(reference(parse('openshift/ci', `20240101_sha256_${hexOf(digit)}`)), expected, digit)
    }
    test.equal(doorsFor('deny').reference(parse('openshift/ci', `sha256:${hexOf('c')}`)).qciWide, false)
  },
)

await t.test('a digest in an image stream: that namespace only, QCI-wide aside', async (test) => {
  const { reference } = doorsFor()
  const doors = (namespace: string) => reference(parse(`${namespace}/x`, `sha256:${hexOf('a')}`))
  test.strictSame(doors('ocp-priv'), { imageStreams: [restricted], qciWide: true, namespace: 'ocp-priv' })
  test.strictSame(doors('elsewhere'), { imageStreams: [], qciWide: true, namespace: 'elsewhere' })
})

await t.test('lists: an image stream, or what belongs to none', async (test) => {
  const { imageStream } = doorsFor()
  test.strictSame(imageStream(restricted), {
    imageStreams: [restricted],
    qciWide: false,
    namespace: 'ocp-priv',
  })
  test.strictSame(imageStream(undefined), { imageStreams: [], qciWide: true })
})

await t.test('what an unseen image brought along is as open as it was: to QCI-wide', async (test) => {
  for (const unknownDigests of ['allow', 'deny'] as const) {
    const { reference } = createDoors({
      seenIn: () => [restricted],
      isCarried: (digest) => digest.includes('b'),
      isRestricted: createRestricted(['*-priv']),
      unknownDigests,
    })
    const qciWide = (digit: string) => reference(parse('openshift/ci', `sha256:${hexOf(digit)}`)).qciWide
    test.equal(qciWide('b'), unknownDigests === 'allow')
    test.equal(qciWide('a'), false)
  }
})
