import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { Test } from 'tap'
import { ConfigFile, ConfigFileError } from '../../../src/mirror/service/config-file.ts'
import { thrown } from '../../support/thrown.ts'
import { until } from '../../support/until.ts'
import { supplemental } from '../validation/entries.ts'

const first = supplemental({ 'a/b:c': 'quay.io/a/b:c' })
const second = supplemental({ 'a/b:d': 'quay.io/a/b:d' })
const malformed = 'supplementalCIImages: []\n'

const started = (test: Test, text: string | Buffer = first, intervalMs?: number) => {
  const path = join(test.testdir({}), 'config')
  const write = (content: string | Buffer) => writeFileSync(path, content)
  write(text)
  const events: string[] = []
  const file = new ConfigFile({
    path,
    onChange: ({ supplemental: entries }) =>
      events.push(`changed: ${entries.map(({ subject }) => subject).join()}`),
    onRefused: (problems) =>
      events.push(...problems.map((problem) => `refused: ${problem.replace(path, 'FILE')}`)),
    onCaution: (problems) =>
      events.push(...problems.map((problem) => `caution: ${problem.replace(path, 'FILE')}`)),
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
  test.teardown(() => file.close())
  return { path, write, events, file }
}

await t.test('a changed file is in force at the next read', async (t) => {
  const { write, events, file } = started(t)
  file.reload()
  t.strictSame(events, [])
  write(gzipSync(second))
  file.reload()
  t.strictSame(events.splice(0), ['changed: supplementalCIImages[a/b:d]'])
  t.equal(file.current().supplemental.length, 1)
  t.equal(file.isCurrent(), true)
})

await t.test('a version that is not well formed is rejected, and logged once', async (t) => {
  const { path, write, events, file } = started(t)
  write(malformed)
  file.reload()
  file.reload()
  t.match(events.splice(0), [/^refused: FILE:1:23: supplementalCIImages is not a map; write/])
  t.equal(file.isCurrent(), false)
  t.equal(file.current().supplemental[0]?.subject, 'supplementalCIImages[a/b:c]')
  rmSync(path)
  file.reload()
  file.reload()
  t.match(events.splice(0), [/^refused: FILE cannot be read: ENOENT/])
  // An empty file would end all copies.
  for (const [content, told] of [
    ['', /^refused: FILE:1:1: the file is empty/],
    [Buffer.from([0xff]), /^refused: FILE:1:1: the file is not text in UTF-8/],
  ] as const) {
    write(content)
    file.reload()
    file.reload()
    t.match(events.splice(0), [told])
  }
  write(first)
  file.reload()
  t.strictSame(events, [])
  t.equal(file.isCurrent(), true)
})

await t.test('an entry with a problem is logged, and the others are used', async (t) => {
  const { events, file } = started(t, `${first}  a/b:d: {image: fedora}\n`)
  t.match(events, [/^caution: FILE:3:3: source image .*docker\.io/])
  t.equal(file.current().supplemental.length, 2)
})

await t.test('nothing starts with a file that is not well formed', async (t) => {
  t.ok(thrown(() => started(t, malformed)) instanceof ConfigFileError)
})

await t.test('the file is read again by itself', async (t) => {
  const { write, events } = started(t, first, 1)
  write(second)
  await until(() => events.length > 0)
  t.strictSame(events, ['changed: supplementalCIImages[a/b:d]'])
})

await t.test('a ConfigMap, whose files are links that are swapped', async (t) => {
  const folder = t.testdir({ one: { config: first }, two: { config: second } })
  const link = (name: string, to: string) => {
    symlinkSync(to, join(folder, 'next'))
    renameSync(join(folder, 'next'), join(folder, name))
  }
  link('data', 'one')
  link('config', 'data/config')
  const changes: number[] = []
  const told = () => t.fail()
  const file = new ConfigFile({
    path: join(folder, 'config'),
    onChange: ({ supplemental: { length } }) => changes.push(length),
    onRefused: told,
    onCaution: told,
  })
  link('data', 'two')
  file.reload()
  t.strictSame(changes, [1])
  t.match(file.current().supplemental, [{ subject: 'supplementalCIImages[a/b:d]' }])
  file.close()
})
