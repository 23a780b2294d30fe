import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { namedFile, namedFiles, tryFiles } from '../../src/config/named-files.ts'

await t.test('contents are read and parsed in the order of the files', async (test) => {
  const folder = test.testdir({ a: 'first', b: 'second' })
  const [a, b] = [join(folder, 'a'), join(folder, 'b')]
  for (const path of [a, b]) chmodSync(path, 0o600)
  const files = namedFiles(
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
  test.equal(namedFile('--a', undefined, 'secret', String), undefined)
})

await t.test('cautions about contents and permissions name the flag', async (test) => {
  const path = join(test.testdir({ a: 'x' }), 'a')
  chmodSync(path, 0o666)
  const files = namedFiles('--a', [[path, 'secret']], String, (contents) => contents.map(() => 'too short'))
  const warnings: string[] = []
  tryFiles(files, [], warnings)
  test.match(warnings, ['--a: too short', /^--a: .* can be read and written by everybody/])
  test.strictSame(files.cautions(['x']), warnings)
})

await t.test('a file that cannot be read or parsed is a problem with its flag', async (test) => {
  const folder = test.testdir({ a: '' })
  const [problems, warnings]: [string[], string[]] = [[], []]
  const missing = namedFile('--a', join(folder, 'b'), 'secret', String)!
  test.equal(tryFiles(missing, problems, warnings), undefined)
  const broken = namedFile('--a', join(folder, 'a'), 'secret', () => {
    throw new Error('it is empty')
  })!
  test.equal(tryFiles(broken, problems, warnings), undefined)
  test.strictSame(problems, [`--a: ${join(folder, 'b')} cannot be read (ENOENT)`, '--a: it is empty'])
  test.strictSame(warnings, [])
})
