import t from 'tap'
import { createTagCursors } from '../../src/registry/tag-cursors.ts'

const cursors = (...fills: number[]) => createTagCursors(() => fills.map((fill) => Buffer.alloc(32, fill)))

await t.test('a plain tag is itself', async (test) => {
  test.equal(await cursors(1).open('ocp_4.5_base'), 'ocp_4.5_base')
})

await t.test('a sealed one does not tell its name, and is opened by whoever has the key', async (test) => {
  const sealed = await cursors(1).seal('ocp-priv_4.5_embargoed')
  test.match(sealed, /^~[\w.-]+$/)
  test.notMatch(Buffer.from(sealed, 'base64url').toString('latin1'), 'embargoed')
  test.equal(await cursors(1).open(sealed), 'ocp-priv_4.5_embargoed')
  test.equal(await cursors(2, 1).open(sealed), 'ocp-priv_4.5_embargoed', 'by a replaced key too')
  test.not(await cursors(1).seal('ocp-priv_4.5_embargoed'), sealed, 'nor can two be compared')
})

await t.test('what nobody sealed is refused', async (test) => {
  const sealed = await cursors(1).seal('a')
  for (const last of ['~', '~a', `${sealed}x`, sealed.slice(0, -3), 'a'.repeat(257)])
    await test.rejects(cursors(1).open(last), { code: 'TAG_INVALID', status: 400 })
  await test.rejects(cursors(2).open(sealed), { code: 'TAG_INVALID' })
})

await t.test('without a key nothing is sealed', async (test) => {
  await test.rejects(cursors().seal('a'))
})
