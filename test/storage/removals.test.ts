import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  RemovalInbox,
  requestRemoval,
  type Removal,
  type RemovalInboxOptions,
} from '../../src/storage/removals.ts'
import { freshDirectory } from './fixtures.ts'

const removal = { digests: ['sha256:12'], tags: ['ocp_4.5_base'] }
const report = { s3: { removed: 2, failed: 0 } }

const inboxFor = (test: Test, options: Partial<RemovalInboxOptions> = {}) => {
  const root = freshDirectory(test)
  const removed: Removal[] = []
  const warnings: string[] = []
  const remove = async (what: Removal) => {
    removed.push(what)
    return await Promise.resolve(report)
  }
  const inbox = new RemovalInbox({ root, remove, warning: (text) => void warnings.push(text), ...options })
  return { root, folder: join(root, 'removals'), removed, warnings, inbox }
}

/** Looks at once, as often as it takes. */
const answering = async <Answer>(inbox: RemovalInbox, asked: Promise<Answer>): Promise<Answer> => {
  const looking = setInterval(() => void inbox.look(), 2)
  return await asked.finally(() => clearInterval(looking))
}

await t.test(
  "the command notifies the proxy, and gets an answer after the proxy's next check",
  async (test) => {
    const { root, folder, removed, warnings, inbox } = inboxFor(test)
    await inbox.start()
    test.strictSame(await answering(inbox, requestRemoval(root, removal, 60_000)), report)
    test.strictSame(removed, [removal])
    test.strictSame(readdirSync(folder), [], 'nothing is left')
    test.strictSame(warnings, [])
    await inbox.close()
  },
)

await t.test('no proxy answers', async (test) => {
  const { root, folder, inbox, removed } = inboxFor(test)
  test.equal(await requestRemoval(root, removal, 1), undefined)
  test.strictSame(readdirSync(folder), [])
  writeFileSync(join(folder, 'old.json'), JSON.stringify(removal))
  await inbox.start()
  await inbox.look()
  test.strictSame(removed, [], 'what an earlier life was told is void')
  await inbox.close()
})

await t.test('attack: a file that no command has written is not followed', async (test) => {
  const { folder, removed, warnings, inbox } = inboxFor(test)
  mkdirSync(folder)
  for (const [name, text] of [
    ['a.json', 'no JSON'],
    ['b.json', '{}'],
    ['c.json', '{"digests":["sha256:12"]}'],
    ['d.json', '{"digests":["sha256:12",5],"tags":[]}'],
    ['other', JSON.stringify(removal)],
  ] as const)
    writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'large.json'), '')
  truncateSync(join(folder, 'large.json'), 2 * 1024 * 1024)
  await inbox.look()
  test.strictSame(removed, [])
  test.equal(warnings.length, 5)
  test.match(warnings.at(-1), 'it is too large')
  test.strictSame(readdirSync(folder), ['other'])
  await inbox.close()
})

await t.test('a folder that cannot be removed or written to', async (test) => {
  const { root, folder, warnings, inbox } = inboxFor(test)
  await inbox.look()
  test.strictSame(warnings, [], 'there is none yet')
  mkdirSync(join(folder, 'a.json'), { recursive: true })
  await inbox.look()
  test.equal(warnings.length, 1)
  test.ok(existsSync(join(folder, 'a.json')))
  await new RemovalInbox({ root: `${root}\0`, remove: async () => report, warning: () => undefined }).start()
})
