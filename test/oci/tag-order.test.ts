import t from 'tap'
import {
  behindBlockOf,
  copiedTagOf,
  hourLength,
  hourOf,
  isBehindDated,
  isBehindInBytes,
  isBehindPrefix,
  isDated,
  isInByteOrder,
} from '../../src/oci/tag-order.ts'

await t.test('a page is in byte order after its position, or not', (test) => {
  test.ok(isInByteOrder(undefined, ['A_b', 'a-priv_b', 'a_b']))
  test.ok(isInByteOrder('a', []))
  test.notOk(isInByteOrder(undefined, ['a_b', 'a-priv_b']))
  test.notOk(isInByteOrder('b', ['a']))
  test.notOk(isInByteOrder('a', ['a']))
  test.end()
})

await t.test('a jump leads behind the namespace, behind a year of copies, or nowhere', (test) => {
  const rows = [
    ['ocp_4.15_base', 'ocp_~'],
    ['OCP_4.15_base', 'OCP_~'],
    ['art__ocp_4.15_base', 'art__ocp_~'],
    ['__ci_images_mirror__quay-io_x', '__ci_images_mirror__quay-io_~'],
    ['preserved__art__ocp_4.15', 'preserved__art__ocp_~'],
    ['art____ci_images_mirror__a_b', 'art____ci_images_mirror__a_~'],
    ['new-family__ocp_4.15_base', 'new-family__ocp_~'],
    ['20261128170000_prune_ocp_4.15_base', '2026:'],
    ['20231029_sha256_0123', '2023:'],
    ['20231029_sha512_0123', '20231029_~'],
    ['latest', undefined],
    ['art__0123456789abcdef', undefined],
    ['_a', undefined],
    [`sha256-${'0'.repeat(64)}.sig`, undefined],
  ] as const
  for (const [tag, behind] of rows) {
    test.equal(behindBlockOf(tag), behind, tag)
    if (behind !== undefined) test.ok(behind > tag)
  }
  test.end()
})

await t.test('a tag is behind a prefix, in bytes and in either order', (test) => {
  const rows = [
    ['ocp-priv_4', 'ocp-priv_', false, false],
    ['ocp-a', 'ocp-priv_', false, false],
    ['ocp_4', 'ocp-priv_', true, false],
    ['ocp_privx', 'ocp-priv_', true, false],
    ['ocp_z', 'ocp-priv_', true, true],
    ['z', 'ocp-priv_', true, true],
  ] as const
  for (const [tag, prefix, inBytes, inBoth] of rows)
    test.strictSame([isBehindInBytes(tag, prefix), isBehindPrefix(tag, prefix)], [inBytes, inBoth], tag)
  test.end()
})

await t.test('dated copies, and the text of an hour that they sort after', (test) => {
  test.equal(hourOf(Date.UTC(2026, 10, 28, 17, 59)), '2026112817')
  test.equal(hourOf(0).length, hourLength)
  for (const [tag, copied] of [
    ['20261128170000_prune_ocp_4.15_base', 'ocp_4.15_base'],
    ['20261128170000_prune___ci_images_mirror__a_b', 'a_b'],
    ['20261128170000_prune_art__ocp_4.15', 'art__ocp_4.15'],
    ['20261128_sha256_ab', undefined],
    ['ocp_4.15_base', undefined],
  ] as const)
    test.strictSame([isDated(tag), copiedTagOf(tag)], [!tag.startsWith('ocp'), copied], tag)
  for (const [tag, isBehind] of [
    ['20991231235959_prune_a', false],
    ['2048-priv_a', false],
    ['21', false],
    ['21000101000000_prune_a', true],
    ['3scale_a', true],
    ['ocp_a', true],
  ] as const)
    test.equal(isBehindDated(tag), isBehind, tag)
  test.end()
})
