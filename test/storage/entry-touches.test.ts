import { statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemDisk } from '../../src/storage/disk.ts'
import { EntryIndex } from '../../src/storage/entry-index.ts'
import { EntryTouches } from '../../src/storage/entry-touches.ts'
import { bytesOf, digestOf, freshDirectory } from './fixtures.ts'

const bytes = bytesOf(100)
const entryIn = (directory: string) => ({
  digest: digestOf(bytes),
  size: 100,
  path: join(directory, 'entry'),
})

await t.test('a verified entry is touched once, and stays verified', async (test) => {
  const entry = entryIn(freshDirectory(test))
  writeFileSync(entry.path, bytes)
  utimesSync(entry.path, new Date(0), new Date(0))
  const index = new EntryIndex({ maxBytes: 1e6, onEvicted: () => undefined })
  index.verified(entry.digest, entry.size, 0)
  const touches = new EntryTouches(systemDisk, index)
  const operations: (() => Promise<void>)[] = []
  for (let round = 0; round < 3; round++) touches.touch(entry, (operation) => void operations.push(operation))
  test.equal(operations.length, 1)
  await operations[0]?.()
  const { mtimeMs } = statSync(entry.path)
  test.ok(mtimeMs > 0)
  test.ok(index.isVerified(entry.digest, mtimeMs))
})

for (const [name, change] of Object.entries({
  'that somebody has changed': (path: string) => utimesSync(path, new Date(1000), new Date(1000)),
  'that was dropped': (_path: string, index: EntryIndex) => index.remove(entryIn('').digest),
}))
  await t.test(`an entry ${name} does not become verified`, async (test) => {
    const entry = entryIn(freshDirectory(test))
    writeFileSync(entry.path, bytes)
    utimesSync(entry.path, new Date(0), new Date(0))
    const index = new EntryIndex({ maxBytes: 1e6, onEvicted: () => undefined })
    index.verified(entry.digest, entry.size, 0)
    change(entry.path, index)
    const touched = Promise.withResolvers<void>()
    new EntryTouches(systemDisk, index).touch(entry, (operation) => touched.resolve(operation()))
    await touched.promise
    test.ok(statSync(entry.path).mtimeMs > 1000)
    test.notOk(index.isVerified(entry.digest, statSync(entry.path).mtimeMs))
  })
