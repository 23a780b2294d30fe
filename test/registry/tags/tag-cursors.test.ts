import { CompactEncrypt, EncryptJWT } from 'jose'
import t from 'tap'
import { createTagCursors } from '../../../src/registry/tags/tag-cursors.ts'

const clock = { now: Date.UTC(2026, 10, 1) }
const key = (fill: number) => Buffer.alloc(32, fill)
const cursors = (...fills: number[]) =>
  createTagCursors(
    () => fills.map(key),
    () => clock.now,
  )
const scope = { repository: 'openshift/ci', requester: 'cluster alice' }
const hidden = { after: 'ocp-priv_4.5_embargoed', emptyPages: 3 }

await t.test('a plain tag is its own position', async (test) => {
  test.strictSame(await cursors(1).open('ocp_4.5_base', scope), { after: 'ocp_4.5_base', emptyPages: 0 })
})

await t.test('an encrypted position hides its name, and any replica with the key opens it', async (test) => {
  const sealed = await cursors(1).seal(hidden, scope)
  test.match(sealed, /^~[\w.-]+$/)
  test.notMatch(Buffer.from(sealed, 'base64url').toString('latin1'), 'embargoed')
  test.strictSame(await cursors(1).open(sealed, scope), hidden)
  test.strictSame(await cursors(2, 1).open(sealed, scope), hidden, 'by a replaced key too')
  test.not(await cursors(1).seal(hidden, scope), sealed, 'nor can two be compared')
  const beginning = { after: '', emptyPages: 1 }
  test.strictSame(await cursors(1).open(await cursors(1).seal(beginning, scope), scope), beginning)
})

await t.test('attack: the length of a cursor reveals nothing', async (test) => {
  const lengths = new Set<number>()
  for (const length of [0, 1, 63, 127, 128])
    for (const emptyPages of [0, 9, 10, 99_999])
      for (const requester of ['a', 'b'.repeat(500)])
        lengths.add(
          (await cursors(1).seal({ after: 'a'.repeat(length), emptyPages }, { ...scope, requester })).length,
        )
  test.equal(lengths.size, 1)
  const longer = { after: 'a'.repeat(300), emptyPages: 0 }
  test.strictSame(
    await cursors(1).open(await cursors(1).seal(longer, scope), scope),
    longer,
    'of no registry we know',
  )
})

await t.test('attack: a cursor is valid only for its list and its requester', async (test) => {
  const sealed = await cursors(1).seal(hidden, scope)
  for (const other of [
    { ...scope, repository: 'team/app' },
    { ...scope, repository: 'openshift/c' },
    { ...scope, requester: 'cluster mallory' },
    { ...scope, requester: 'robot alice' },
    { repository: scope.requester, requester: scope.repository },
  ])
    await test.rejects(cursors(1).open(sealed, other), { code: 'TAG_INVALID', status: 400 })
})

await t.test('a cursor expires after a day, with a message', async (test) => {
  const sealed = await cursors(1).seal(hidden, scope)
  const begun = clock.now
  clock.now = begun + 24 * 3600_000 - 1000
  test.strictSame(await cursors(1).open(sealed, scope), hidden)
  clock.now = begun + 24 * 3600_000
  await test.rejects(cursors(1).open(sealed, scope), {
    code: 'TAG_INVALID',
    status: 400,
    message: 'last is where one of our lists ended a day ago; list from the start',
  })
  clock.now = begun
  const ours = createTagCursors(() => [key(1)])
  test.strictSame(
    await ours.open(await ours.seal(hidden, scope), scope),
    hidden,
    'by the clock of the system',
  )
})

await t.test('a forged cursor is refused', async (test) => {
  const sealed = await cursors(1).seal(hidden, scope)
  for (const last of ['~', '~a', `${sealed}x`, sealed.slice(0, -3), 'a'.repeat(257)])
    await test.rejects(cursors(1).open(last, scope), { code: 'TAG_INVALID', status: 400 })
  await test.rejects(cursors(2).open(sealed, scope), { code: 'TAG_INVALID' })
  const bare = await new CompactEncrypt(Buffer.from('ocp-priv_a'))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(key(1))
  const endless = await new EncryptJWT({ after: 'a', emptyPages: '0' })
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .setAudience(scope.repository)
    .encrypt(key(1))
  for (const forged of [bare, endless])
    await test.rejects(
      cursors(1).open(`~${forged}`, scope),
      { code: 'TAG_INVALID' },
      'sealed for something else',
    )
})

await t.test('without a key there is no cursor', async (test) => {
  await test.rejects(cursors().seal(hidden, scope))
})
