import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { exposureOf } from '../../src/secrets/file-permissions.ts'

const octal = (mode: number) => mode.toString(8).padStart(4, '0')

await t.test('every mode, for secret and public files, directly and through a link', async (test) => {
  const folder = test.testdir({ real: {} })
  const [file, link] = [join(folder, 'real', 'file'), join(folder, 'link')]
  writeFileSync(file, 'hunter2')
  symlinkSync(file, link)
  for (let mode = 0o400; mode <= 0o777; mode++) {
    chmodSync(file, mode)
    const [isRead, isWritten] = [(mode & 4) !== 0, (mode & 2) !== 0]
    for (const path of [file, link]) {
      const secret = exposureOf(path, 'secret')
      const may = isRead && isWritten ? 'read and written' : isRead ? 'read' : 'written'
      test.equal(
        secret,
        isRead || isWritten
          ? `${path} can be ${may} by everybody on this machine (mode ${octal(mode)}): chmod o-rwx ${path}`
          : undefined,
      )
      test.equal(
        exposureOf(path, 'public'),
        isWritten
          ? `${path} can be written by everybody on this machine (mode ${octal(mode)}): chmod o-w ${path}`
          : undefined,
      )
    }
  }
})

await t.test('a secret volume of Kubernetes causes no warning with default modes', async (test) => {
  const folder = test.testdir({})
  const version = join(folder, '..2026_11_28_17_00_00.1')
  mkdirSync(join(version, 'nested'), { recursive: true })
  symlinkSync('..2026_11_28_17_00_00.1', join(folder, '..data'))
  symlinkSync('..data/token', join(folder, 'token'))
  symlinkSync('..data/nested', join(folder, 'nested'))
  const paths = [join(folder, 'token'), join(folder, 'nested', 'token')]
  for (const path of paths) {
    writeFileSync(path, 'hunter2')
    for (const mode of [0o644, 0o444, 0o440, 0o400]) {
      chmodSync(path, mode)
      test.equal(exposureOf(path, 'secret'), undefined, octal(mode))
    }
    for (const mode of [0o666, 0o622]) {
      chmodSync(path, mode)
      for (const kind of ['secret', 'public'] as const)
        test.equal(
          exposureOf(path, kind),
          `${path} can be written by everybody on this machine (mode ${octal(mode)}): set defaultMode: 0440 on its volume`,
        )
    }
  }
})

await t.test('a folder that only looks like such a volume is not one', async (test) => {
  const folder = test.testdir({ '..2026': { a: '' }, b: { '..2026': { a: '' }, '..2027': {} } })
  symlinkSync('..2027', join(folder, 'b', '..data'))
  for (const path of [join(folder, '..2026', 'a'), join(folder, 'b', '..2026', 'a')]) {
    chmodSync(path, 0o644)
    test.match(exposureOf(path, 'secret'), 'can be read by everybody')
  }
})

await t.test('the command is valid in a shell, whatever the name of the file', async (test) => {
  const folder = test.testdir({ "it's; a file": '' })
  const path = join(folder, "it's; a file")
  chmodSync(path, 0o604)
  test.equal(exposureOf(path, 'secret')?.split('): ')[1], `chmod o-rwx '${folder}/it'\\''s; a file'`)
})

await t.test('a missing file is an error', async (test) => {
  test.throws(() => exposureOf(join(test.testdir({}), 'away'), 'secret'), { code: 'ENOENT' })
})
