import { mkdirSync } from 'node:fs'
import t from 'tap'
import { validateConfig } from '../../../src/mirror/commands/validate.ts'
import { supplemental } from '../validation/entries.ts'
import { startedCommand } from './commands.ts'

await t.test('the report and the exit code', async (t) => {
  const { io, output, args, folder } = await startedCommand(t, supplemental({ 'a/b:c': 'fedora' }))
  t.equal(validateConfig(args('validate'), io), 1)
  t.match(output, [/:2:3: error: source image docker\.io\/library\/fedora:latest is from docker\.io/])
  const { config } = args('validate')
  t.equal(validateConfig(args('validate', `--base=${config}`), io), 0)
  mkdirSync(`${folder}/ci-operator/config`, { recursive: true })
  t.equal(validateConfig(args('validate', `--release-repo-git-sync-path=${folder}`), io), 1)
  t.equal(validateConfig({ ...args('validate'), config: folder }, io), 1)
  t.throws(
    () => validateConfig(args('validate', '--release-repo-git-sync-path=/nothing'), io),
    /does not exist/,
  )
})
