import t from 'tap'
import { isUnchanged } from '../../src/registry/conditional.ts'

const tag = `sha256:${'a'.repeat(64)}`
const other = `sha256:${'b'.repeat(64)}`

await t.test('lists x positions x weakness: the matching entity tag', async (test) => {
  for (const own of [`"${tag}"`, `W/"${tag}"`])
    for (const row of [
      [own],
      [`"${other}"`, own],
      [own, `"${other}"`],
      ['""', `W/"a,b"`, own, `"${other}"`],
      ['', own, ''],
    ])
      for (const comma of [',', ', ', ' ,\t', ',,'])
        test.ok(isUnchanged(row.join(comma), tag), row.join(comma))
  test.ok(isUnchanged('*', tag))
  test.ok(isUnchanged(' * ', tag))
})

await t.test('other entity tags, malformed ones, and none', async (test) => {
  for (const field of [
    undefined,
    '',
    ',',
    `"${other}"`,
    tag,
    `w/"${tag}"`,
    `W/ "${tag}"`,
    `'${tag}'`,
    `"${tag}`,
    `${tag}"`,
    `"x${tag}"`,
    `"${tag}x"`,
    `"${tag}"x`,
    `"${tag} "`,
    `"a" "${tag}"`,
    `"a" b, "${tag}"`,
    '"*"',
    '*, "a"',
    `*, "${tag}"`,
    `"${tag.toUpperCase()}"`,
  ])
    test.notOk(isUnchanged(field, tag), String(field))
})

await t.test('state of one match does not leak into the next', async (test) => {
  test.ok(isUnchanged(`"${other}", "${tag}"`, tag))
  test.ok(isUnchanged(`"${tag}"`, tag))
  test.notOk(isUnchanged(`"${other}"`, tag))
  test.ok(isUnchanged(`"${tag}"`, tag))
})
