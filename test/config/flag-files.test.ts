import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { flagFile, flagFiles, tryFiles } from '../../src/config/flag-files.ts'

await t.test('contents are read and parsed in the order of the files', async (test) => {
  const folder = test.testdir({ a: 'first', b: 'second' })
  const [a, b] = [join(folder, 'a'), join(folder, 'b')]
  for (const path of [a, b]) chmodSync(path, 0o600)
  const files = flagFiles(
    '--a and --b',
    [
      [a, 'public'],
      [b, 'secret'],
    ],
    ([one, two]) => `${one} ${two}`,
  )
  test.strictSame(files.paths, [a, b])
  const [problems, warnings]: [string[], string[]] = [[], []]
  test.equal(tryFiles(files, problems, warnings), 'first second')
  test.strictSame([problems, warnings], [[], []])
})

await t.test('a flag that was not given names no file', async (test) => {
  test.equal(flagFile('--a', undefined, 'secret', String), undefined)
})

await t.test('cautions about contents and permissions name the flag', async (test) => {
  const path = join(test.testdir({ a: 'x' }), 'a')
  chmodSync(path, 0o666)
  const files = flagFiles('--a', [[path, 'secret']], String, (contents) => contents.map(() => 'too short'))
  const warnings: string[] = []
  tryFiles(files, [], warnings)
  test.match(warnings, ['--a: too short', /^--a: .* can be read and written by everybody/])
  test.strictSame(files.cautions(['x']), warnings)
})

await t.test('a file that cannot be read or parsed is a problem with its flag', async (test) => {
  const folder = test.testdir({ a: '' })
  const [problems, warnings]: [string[], string[]] = [[], []]
  const missing = flagFile('--a', join(folder, 'b'), 'secret', String)!
  test.equal(tryFiles(missing, problems, warnings), undefined)
  const broken = flagFile('--a', join(folder, 'a'), 'secret', () => {
    throw new Error('it is empty')
  })!
  test.equal(tryFiles(broken, problems, warnings), undefined)
  test.strictSame(problems, [`--a: ${join(folder, 'b')} cannot be read (ENOENT)`, '--a: it is empty'])
  test.strictSame(warnings, [])
})
