import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DiskQueue } from '../../src/storage/disk-queue.ts'
import { KeyJournal, type KeyJournalOptions } from '../../src/storage/key-journal.ts'
import { freshDirectory } from './fixtures.ts'
import { until } from '../support/until.ts'

const setUp = (test: Test, options: Partial<KeyJournalOptions> = {}) => {
  const path = options.path ?? join(freshDirectory(test), 'tags')
  const warnings: string[] = []
  let time = 1_000_000
  const open = () => {
    const journal = new KeyJournal({
      path,
      queue: new DiskQueue(),
      onWarning: (message) => void warnings.push(message),
      wallClock: () => time,
      ...options,
    })
    test.teardown(async () => await journal.close())
    return journal
  }
  return { path, warnings, open, pass: (ms: number) => (time += ms), lines: () => linesOf(path) }
}

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)

await t.test('values are kept over a restart', async (test) => {
  const { open, pass, warnings } = setUp(test)
  const first = open()
  first.set('a 1', 'x')
  first.set('a 2', 'y')
  first.set('b', 'z')
  first.delete('b')
  first.delete('absent')
  await first.close()
  pass(5000)
  const second = open()
  test.strictSame(second.get('a 1'), { value: 'x', time: 1_000_000 })
  test.equal(second.get('b'), undefined)
  test.equal(second.size, 2)
  test.strictSame(
    second
      .startingWith('a ')
      .map(([key]) => key)
      .toSorted(),
    ['a 1', 'a 2'],
  )
  test.strictSame(warnings, [])
})

await t.test('an unchanged value is written again for its time, and not more often', async (test) => {
  const { open, pass, lines } = setUp(test, { confirmEveryMs: 100 })
  const journal = open()
  for (const [ms, value, expected] of [
    [0, 'x', 1],
    [99, 'x', 1],
    [1, 'x', 2],
    [0, 'y', 3],
    [-1_000_000, 'y', 4],
  ] as const) {
    pass(ms)
    journal.set('a', value)
    await journal.flush()
    test.equal(lines().length, expected)
  }
})

await t.test('after the clock was set back, a time in the future counts as now', async (test) => {
  const { open, pass } = setUp(test)
  const journal = open()
  journal.set('a', 'x')
  await journal.close()
  pass(-500_000)
  test.equal(open().get('a')?.time, 500_000)
})

await t.test('lines that were cut or overwritten are passed over', async (test) => {
  const { path, open, lines, warnings } = setUp(test)
  const journal = open()
  for (const key of ['a', 'b', 'c']) journal.set(key, 'x')
  await journal.close()
  const [a = '', b = ''] = lines()
  writeFileSync(path, `${a}\n${b.replace('"x"', '"y"')}\nnonsense\n\n${lines()[2]}\n`)
  truncateSync(path, readFileSync(path).length - 3)
  const again = open()
  test.ok(again.get('a'))
  test.equal(again.get('b'), undefined)
  test.equal(again.get('c'), undefined)
  test.strictSame(warnings, [])
})

await t.test('the file is written anew when most of its lines are out of date', async (test) => {
  const { open, lines } = setUp(test, { maxKeys: 3, confirmEveryMs: 0 })
  const journal = open()
  for (let round = 0; round < 400; round++)
    for (const key of ['a', 'b', 'c', 'd']) journal.set(key, `${round}`)
  await journal.flush()
  test.equal(lines().length, 3)
  journal.set('b', 'last')
  await journal.close()
  const again = open()
  test.equal(again.get('b')?.value, 'last')
  test.equal(again.get('a'), undefined)
  again.set('e', 'x')
  test.equal(again.get('c'), undefined, 'the order of use is kept, too')
})

await t.test('flushes come by themselves, and one at a time', async (test) => {
  const { open, lines, path } = setUp(test)
  const journal = open()
  journal.set('a', 'x')
  await until(() => existsSync(path) && lines().length === 1)
  journal.set('b', 'x')
  const first = journal.flush()
  journal.set('c', 'x')
  await Promise.all([first, journal.flush(), journal.flush()])
  test.equal(lines().length, 3)
})

await t.test('a file that cannot be read or written is reported, and causes no error', async (test) => {
  const folder = setUp(test, { path: freshDirectory(test) })
  const journal = folder.open()
  test.match(folder.warnings[0], /is not used \(EISDIR\); it is written anew/)
  journal.set('a', 'x')
  await journal.flush()
  test.match(folder.warnings[1], /cannot be written \(EISDIR\); tags are lost at a restart/)
  test.ok(journal.get('a'))
  const hanging = {
    run: async () => await Promise.reject(new Error('the disk hangs')),
  } as unknown as DiskQueue
  const stuck = setUp(test, { path: join(freshDirectory(test), 'tags'), queue: hanging })
  const other = stuck.open()
  other.set('a', 'x')
  await other.flush()
  test.match(stuck.warnings[0], /cannot be written \(the disk hangs\)/)
})

await t.test('the clock of the machine is used unless another one is given', async (test) => {
  const path = join(freshDirectory(test), 'tags')
  const journal = new KeyJournal({ path, queue: new DiskQueue(), onWarning: () => undefined })
  journal.set('a', 'x')
  test.ok(Math.abs((journal.get('a')?.time ?? 0) - Date.now()) < 60_000)
  await journal.close()
})

await t.test('attack: a file of gigabytes is not read', async (test) => {
  const { path, open, warnings } = setUp(test)
  appendFileSync(path, '')
  truncateSync(path, 65 * 1024 * 1024)
  test.equal(open().size, 0)
  test.match(warnings[0], /is not used \(it is too large\)/)
})

await t.test('a crash in the middle of a line does not cost the next line', async (test) => {
  const { path, open, warnings } = setUp(test)
  const first = open()
  first.set('a', 'x')
  first.set('b', 'x')
  await first.close()
  truncateSync(path, readFileSync(path).length - 3)
  const second = open()
  second.set('c', 'x')
  await second.close()
  const third = open()
  test.strictSame([third.get('a')?.value, third.get('b'), third.get('c')?.value], ['x', undefined, 'x'])
  test.strictSame(warnings, [])
})

await t.test(
  'what a full disk did not take is written later: a removed tag does not come back',
  async (test) => {
    for (const isClosedAtOnce of [false, true]) {
      let isFull = false
      const queue = {
        run: async (_requester: string, write: () => Promise<void>) => {
          if (isFull) throw Object.assign(new Error('x'), { code: 'ENOSPC' })
          await write()
        },
      } as unknown as DiskQueue
      const { open, warnings } = setUp(test, { queue, path: join(freshDirectory(test), 'tags') })
      const journal = open()
      journal.set('a', 'x')
      await journal.flush()
      isFull = true
      journal.delete('a')
      await journal.flush()
      test.match(warnings, [/ENOSPC/])
      isFull = false
      if (!isClosedAtOnce) {
        journal.set('b', 'x')
        await journal.flush()
      }
      await journal.close()
      test.equal(open().get('a'), undefined)
      test.equal(open().size, isClosedAtOnce ? 0 : 1)
    }
  },
)

await t.test('a time in the future counts as now once, not after each restart', async (test) => {
  const { open, pass } = setUp(test)
  const first = open()
  first.set('a', 'x')
  await first.close()
  pass(-500_000)
  const second = open()
  second.set('b', 'x')
  await second.close()
  pass(100_000)
  test.equal(open().get('a')?.time, 500_000)
})
