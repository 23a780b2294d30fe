import t from 'tap'
import { createRestrictedNamespaces } from '../../src/access/restricted-namespaces.ts'
import type { Digest } from '../../src/oci/digest.ts'
import {
  createTagOwner,
  digestOfTag,
  isAttachedTag,
  isImageStreamName,
  isNamespace,
  isQciTag,
  mayHoldOthers,
  restrictedPartOf,
  type TagOwner,
} from '../../src/oci/qci-tag.ts'

const isRestricted = createRestrictedNamespaces(['*-priv', '*-private'])
const ownerOf = createTagOwner(isRestricted)

const hex = '0123456789abcdef'.repeat(4)
const hex16 = hex.slice(0, 16)
const stamp = '20240603235401'
const stream = (namespace: string, name?: string): TagOwner => ({
  by: 'image-stream',
  imageStream: name === undefined ? { namespace } : { namespace, name },
})
const byDigest: TagOwner = { by: 'digest', digest: `sha256:${hex}` as Digest }
const nobody: TagOwner = { by: 'qci' }

/** What is copied, and whose it is: of each kind that there is. */
const originals: readonly (readonly [string, TagOwner])[] = [
  ['ocp_4.5_base', stream('ocp', '4.5')],
  ['my-team_app_latest', stream('my-team', 'app')],
  ['a_b_c_d', stream('a')],
  ['art_x_y', stream('art', 'x')],
  ['rc_payload_y', stream('rc', 'payload')],
  ['preserved_x_y', stream('preserved', 'x')],
  ['ocp-priv_4.5_base', stream('ocp-priv', '4.5')],
  ['ocp-private_builder-priv_rhel-9', stream('ocp-private', 'builder-priv')],
  ['ci_builder-priv_rhel-9', stream('ci', 'builder-priv')],
  [`20231029_sha256_${hex}`, byDigest],
  [`sha256-${hex}`, byDigest],
  [`sha256-${hex}.sig`, byDigest],
  [`sha256-${hex}.att`, byDigest],
  [`sha256-${hex}.sbom`, byDigest],
  [`sha256-${hex}.any_thing-2`, byDigest],
  ['latest', nobody],
  [hex16, nobody],
  [`art-builder-${hex16}`, nobody],
  ['art-builder-4.20-rhel_9_golang', nobody],
  ['rc_payload__4.20.0-0.nightly-2026-11-01-000000', nobody],
  ['rc_payload__4.20.0-0.ci__component__etcd', nobody],
  ['preserved__rc_payload__4.20.0', nobody],
  ['remove__rc_payload__4.20.0', nobody],
  ['preserved__ocp_4.5_base', nobody],
  ['tomorrow__ocp_4.5_base', nobody],
]
const copies = [
  '',
  `${stamp}_prune_`,
  `${stamp}_prune_${stamp}_prune_`,
  '__ci_images_mirror__',
  `${stamp}_prune___ci_images_mirror__`,
  'art__',
  `${stamp}_prune_art__`,
  `art__${stamp}_prune_`,
]
const stages = ['', '_incoming', '__pre', '__post1', '__pre_incoming']

const withoutName = (owner: TagOwner): TagOwner =>
  owner.by === 'image-stream' ? stream(owner.imageStream.namespace) : owner

await t.test('every copy and every stage of a tag has the owner of the tag', async (test) => {
  let rows = 0
  for (const [original, owner] of originals)
    for (const copy of copies)
      for (const stage of stages) {
        const tag = `${copy}${original}${stage}`
        if (!isQciTag(tag)) continue
        rows += 1
        // A stage can be a part of the tag: the split is less certain then, never the namespace.
        const found = stage === '' ? ownerOf(tag) : withoutName(ownerOf(tag))
        test.strictSame(found, stage === '' ? owner : withoutName(owner), tag)
      }
  test.ok(rows > 800, `${rows} tags`)
})

await t.test('a stage does not make an ambiguous split certain', async (test) => {
  test.strictSame(ownerOf('ocp_4.5_base_incoming'), stream('ocp'), '4.5:base_incoming or 4.5_base:incoming')
  test.strictSame(ownerOf('ocp_4.5_base__pre'), stream('ocp'))
  test.strictSame(ownerOf('ocp_app_incoming'), stream('ocp', 'app'))
})

/** Families that nobody here has heard of, around a copy. */
const unknownFamilies = [
  'tomorrow__',
  'rc_payload__4.20__component__',
  'preserved__',
  'remove__',
  'art-builder-4.20__',
  'ocp_4.5_base__',
  'x___',
  '__',
  '20240603_backup_',
  `${stamp}_keep_`,
  `${stamp}_`,
  `my-team_app_x__${stamp}_prune_`,
  `20240603_${stamp}_prune_`,
  `20240603_backup_${stamp}_prune_`,
  `20240603_${stamp}_${stamp}_keep_`,
]

await t.test(
  'attack: a tag that names a restricted namespace is restricted, whatever else it is',
  async (test) => {
    let rows = 0
    for (const namespace of ['ocp-priv', 'ocp-private', 'art-builder-priv'])
      for (const rest of ['_4.5_base', '_a_b_c', '', '__x', '_incoming', '__pre'])
        for (const family of [...copies, ...unknownFamilies])
          for (const spell of [String, (tag: string) => tag.toUpperCase()]) {
            const tag = spell(`${family}${namespace}${rest}`)
            rows += 1
            test.strictSame(withoutName(ownerOf(tag)), stream(namespace), tag)
          }
    test.ok(rows > 700, `${rows} tags`)
    test.strictSame(ownerOf(`sha256-${hex}.__ocp-priv_x`), stream('ocp-priv'), 'a digest as well')
    test.strictSame(
      ownerOf('x-priv_a_b__ocp-priv_c'),
      stream('x-priv'),
      'whose it is, where that is restricted',
    )
  },
)

await t.test('the same tags with open namespaces are not restricted', async (test) => {
  // Behind a bare date the second word may be the namespace as well.
  for (const family of [...copies, ...unknownFamilies.filter((name) => name !== `${stamp}_`)])
    for (const open of ['ocp_4.5_base', 'ci_builder-priv_rhel-9', 'ci_app_x-priv', 'ocp-priv2_a_b'])
      test.equal(restrictedPartOf(`${family}${open}`, isRestricted), undefined, `${family}${open}`)
})

await t.test('attack: other letter case, because upstream may ignore it', async (test) => {
  test.strictSame(ownerOf('OCP-PRIV_4.5_base'), stream('ocp-priv'))
  test.strictSame(ownerOf(`${stamp}_PRUNE_Ocp-Priv_4.5_base`), stream('ocp-priv'))
  test.strictSame(ownerOf('ART__OCP-priv_4.5_base'), stream('ocp-priv'))
  test.strictSame(ownerOf('OCP_4.5_base'), nobody, 'no such namespace can exist')
  for (const tag of [`SHA256-${hex}.sig`, `sha256-${hex.toUpperCase()}`, `20231029_SHA256_${hex}`])
    test.strictSame(ownerOf(tag), byDigest, tag)
})

await t.test('tags with missing parts, and tags that only look like a family', async (test) => {
  const rows: readonly (readonly [string, TagOwner])[] = [
    ['ocp_4.5', stream('ocp')],
    ['ocp_', stream('ocp')],
    ['ocp__component', nobody],
    ['_ocp_4.5', nobody],
    ['__', nobody],
    ['art__', nobody],
    ['_incoming', nobody],
    ['ocp__pre', nobody],
    [`${stamp}_prune_`, nobody],
    ['ComplianceAsCode_x_y', nobody],
    [`${stamp.slice(1)}_prune_a_b`, stream(stamp.slice(1))],
    [`2023102_sha256_${hex}`, stream('2023102', 'sha256')],
    [`20231029_sha256_${hex}0`, stream('20231029', 'sha256')],
    [`sha256-${hex}_a_b`, nobody],
    [`sha256-${hex.slice(1)}.sig`, nobody],
  ]
  for (const [tag, owner] of rows) test.strictSame(ownerOf(tag), owner, tag)
})

await t.test('attack: tags of hostile length and depth are read in time, and have no owner', async (test) => {
  const times = 200_000
  for (const text of [
    'art__'.repeat(times),
    '__ci_images_mirror__'.repeat(times),
    `${stamp}_prune_`.repeat(times),
    `a_b${'_incoming'.repeat(times)}`,
    `a_b${'__pre'.repeat(times)}`,
    'a_'.repeat(times),
    '_'.repeat(times),
    `ocp-priv_${'a'.repeat(times)}`,
    'no tag',
    '',
  ]) {
    test.strictSame(ownerOf(text), nobody)
    test.equal(digestOfTag(text), undefined)
  }
  const deepest = `${'art__'.repeat(20)}ocp-priv_4.5_base`
  test.strictSame(ownerOf(deepest), stream('ocp-priv', '4.5'))
})

await t.test('tags of signatures, and namespaces that cannot be jumped over', async (test) => {
  for (const tag of [`sha256-${hex}`, `sha256-${hex}.sig`, `sha256-${hex}.a.b_c`]) test.ok(isAttachedTag(tag))
  for (const tag of [`sha256-${hex}_x`, `sha256-${hex}.`, `sha256-${hex.slice(1)}`, `x_sha256-${hex}`])
    test.notOk(isAttachedTag(tag), tag)
  for (const namespace of ['art', '20231029', stamp]) test.ok(mayHoldOthers(namespace))
  for (const namespace of ['ocp', 'art-x', '2023102', 'rc']) test.notOk(mayHoldOthers(namespace))
})

await t.test('the names of namespaces and image streams', async (test) => {
  for (const text of ['ocp', 'a', '0', 'n'.repeat(63), 'a--b']) test.ok(isNamespace(text), text)
  for (const text of ['', 'OCP', 'o_c', 'o.c', '-o', 'o-', 'n'.repeat(64)])
    test.notOk(isNamespace(text), text)
  for (const text of ['4.5', 'a_b', 'a__b', 'a--b']) test.ok(isImageStreamName(text), text)
  for (const text of ['', 'A', '_a', 'a_', 'a___b', 'a..b', 'a/b']) test.notOk(isImageStreamName(text), text)
})
