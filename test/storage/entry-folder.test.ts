import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemDisk, type Disk } from '../../src/storage/disk.ts'
import { DiskQueue } from '../../src/storage/disk-queue.ts'
import { entriesInFolder, sizeInFolder } from '../../src/storage/entry-folder.ts'
import { diskWith, failing, freshDirectory, hanging } from './fixtures.ts'

const hex = (at: number) => `ab${`${at}`.padStart(62, '0')}`
const accessFor = (disk: Partial<Disk> = {}, deadlineMs = 10_000) => ({
  disk: diskWith(disk),
  queue: new DiskQueue({ deadlineMs }),
  requester: 'alice',
  signal: new AbortController().signal,
  retryMs: 1,
})

await t.test('names and times; what is not ours, or cannot be looked at, is passed over', async (test) => {
  const folder = join(freshDirectory(test), 'ab')
  test.strictSame(await entriesInFolder(accessFor(), folder), [])
  mkdirSync(folder)
  for (let at = 0; at < 150; at++) writeFileSync(join(folder, `${hex(at)}.${at}`), '')
  writeFileSync(join(folder, 'notes.txt'), '')
  utimesSync(join(folder, `${hex(7)}.7`), new Date(5000), new Date(5000))
  const found = await entriesInFolder(accessFor(), folder)
  test.equal(found.length, 150)
  test.match(
    found.find(({ size }) => size === 7),
    { digest: `sha256:${hex(7)}`, mtimeMs: 5000 },
  )
  test.equal(await sizeInFolder(accessFor(), folder, `sha256:${hex(149)}`), 149)
  test.equal(await sizeInFolder(accessFor(), folder, `sha256:${hex(150)}`), undefined)
  const times: Disk['times'] = async (path) =>
    path.endsWith('.7') ? await failing('EIO')() : await systemDisk.times(path)
  test.equal((await entriesInFolder(accessFor({ times }), folder)).length, 149)
  test.strictSame(await entriesInFolder(accessFor({ list: failing('EIO') }), folder), [])
  const ended = { ...accessFor({ times: hanging }, 20), signal: AbortSignal.abort() }
  test.strictSame(await entriesInFolder(ended, folder), [])
})

await t.test('a disk that does not answer for a while loses no entry', async (test) => {
  const folder = freshDirectory(test)
  for (let at = 0; at < 150; at++) writeFileSync(join(folder, `${hex(at)}.${at}`), '')
  let calls = 0
  const slowly = async () => {
    calls += 1
    if (calls % 100 === 1) await new Promise((resolve) => setTimeout(resolve, 60))
  }
  const access = accessFor(
    {
      list: async (path) => {
        await slowly()
        return await systemDisk.list(path)
      },
      times: async (path) => {
        await slowly()
        return await systemDisk.times(path)
      },
    },
    30,
  )
  const found = await entriesInFolder(access, folder)
  test.equal(new Set(found.map(({ digest }) => digest)).size, 150)
  test.equal(found.length, 150, 'each once')
  test.ok(calls > 200, 'some were looked at again')
})
