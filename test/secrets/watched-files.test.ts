import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { watchFiles } from '../../src/secrets/watched-files.ts'
import { until } from '../support/until.ts'

/** A secret volume: the files are links into `..data`, a link that is swapped for each new content. */
const secretVolume = (test: Test, content: Readonly<Record<string, string>>) => {
  const directory = test.testdir({})
  let version = 0
  const update = (next: Readonly<Record<string, string>>) => {
    const fresh = `..v${++version}`
    mkdirSync(join(directory, fresh))
    for (const [file, text] of Object.entries(next)) writeFileSync(join(directory, fresh, file), text)
    symlinkSync(fresh, join(directory, '..data_tmp'))
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
    if (version > 1) rmSync(join(directory, `..v${version - 1}`), { recursive: true })
  }
  update(content)
  for (const file of Object.keys(content)) symlinkSync(join('..data', file), join(directory, file))
  return { directory, update, paths: Object.keys(content).map((file) => join(directory, file)) }
}

const watched = (test: Test, paths: readonly string[], intervalMs?: number) => {
  const errors: Error[] = []
  const seen: string[] = []
  let parsed = 0
  const files = watchFiles({
    paths,
    parse: (contents) => {
      parsed++
      if (contents.includes('')) throw new Error('one is empty')
      return contents.join(':')
    },
    onError: (error) => errors.push(error),
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
  test.teardown(files.close)
  files.onChange((value) => seen.push(value))
  return { files, errors, seen, parsed: () => parsed }
}

await t.test('a swapped symbolic link is noticed, and every listener is called once', async (test) => {
  const { paths, update } = secretVolume(test, { username: 'robot', password: 'one' })
  const { files, errors, seen, parsed } = watched(test, paths)
  const others: string[] = []
  files.onChange((value) => others.push(value))
  test.equal(files.current(), 'robot:one')
  update({ username: 'robot', password: 'two' })
  test.equal(files.current(), 'robot:one', 'not before the next look')
  test.equal(files.reload(), true)
  test.equal(files.current(), 'robot:two')
  test.strictSame(seen, ['robot:two'])
  test.strictSame(others, seen)
  test.equal(parsed(), 2)
  test.strictSame(errors, [])
})

await t.test('unchanged content is neither parsed nor reported, even if the link is new', async (test) => {
  const content = { username: 'robot', password: 'one' }
  const { paths, update } = secretVolume(test, content)
  const { files, seen, parsed } = watched(test, paths)
  test.equal(files.reload(), false)
  update(content)
  test.equal(files.reload(), false)
  test.equal(parsed(), 1)
  test.strictSame(seen, [])
})

await t.test('a change of the last file alone is a change', async (test) => {
  const { paths, update } = secretVolume(test, { a: '1', b: '2', c: '3' })
  const { files } = watched(test, paths)
  update({ a: '1', b: '2', c: '4' })
  test.equal(files.reload(), true)
  test.equal(files.current(), '1:2:4')
})

await t.test(
  'a missing file keeps the old content and is reported; its new content is used when it is back',
  async (test) => {
    const { paths, update } = secretVolume(test, { username: 'robot', password: 'one' })
    const { files, errors, seen } = watched(test, paths)
    update({ username: 'robot' })
    test.equal(files.reload(), false)
    test.equal(files.reload(), false)
    test.equal(files.current(), 'robot:one')
    test.strictSame(seen, [])
    test.equal(errors.length, 2, 'every look reports')
    test.equal(errors[0]?.message, `${paths[1]} cannot be read (ENOENT)`)
    test.match(errors[0]?.cause, { code: 'ENOENT' })
    update({ username: 'robot', password: 'two' })
    test.equal(files.reload(), true)
    test.equal(files.current(), 'robot:two')
  },
)

await t.test('a content that cannot be parsed keeps the old one', async (test) => {
  const { paths, update } = secretVolume(test, { password: 'one' })
  const { files, errors, seen } = watched(test, paths)
  update({ password: '' })
  test.equal(files.reload(), false)
  test.equal(files.current(), 'one')
  test.match(errors, [{ message: 'one is empty' }])
  update({ password: 'one' })
  test.equal(files.reload(), false, 'back to what is in force: nothing is new')
  test.strictSame(seen, [])
})

await t.test('an invalid file at the start is an error', async (test) => {
  const { directory } = secretVolume(test, { password: '' })
  const options = {
    parse: (): never => {
      throw new Error('cannot be parsed')
    },
    onError: () => test.fail('a throw, not a report'),
  }
  test.throws(() => watchFiles({ ...options, paths: [join(directory, 'absent')] }), {
    message: `${join(directory, 'absent')} cannot be read (ENOENT)`,
  })
  test.throws(() => watchFiles({ ...options, paths: [directory] }), {
    message: `${directory} cannot be read (EISDIR)`,
  })
  test.throws(() => watchFiles({ ...options, paths: [join(directory, 'password')] }), {
    message: 'cannot be parsed',
  })
})

await t.test('the files are read at the interval until it is closed', async (test) => {
  const { paths, update } = secretVolume(test, { password: 'one' })
  const { files, seen } = watched(test, paths, 2)
  update({ password: 'two' })
  await until(() => seen.length > 0)
  test.equal(files.current(), 'two')
  files.close()
  // One that looks as often, and began later: it does not come to look before the first one would have.
  const other = watched(test, paths, 2)
  update({ password: 'three' })
  await until(() => other.seen.length > 0)
  test.equal(files.current(), 'two')
  test.strictSame(seen, ['two'])
})
