import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { problemsIn } from '../../src/cli/run.ts'
import { help } from '../../src/config/help.ts'
import { ended, refused } from './fake-io.ts'

await t.test('--help is the text of the flags, --version that of the package', async (test) => {
  test.strictSame(await ended(['serve', '--bogus', '--help']), { code: 0, stdout: help(), stderr: [] })
  test.strictSame(await ended(['-h']), { code: 0, stdout: help(), stderr: [] })
  test.strictSame(await ended(['--version']), { code: 0, stdout: manifest.version, stderr: [] })
})

await t.test('an unknown command is the only problem that is told', async (test) => {
  for (const name of ['explian', 'help', 'version', 'audit-rport', 'constructor', ''])
    await refused(
      test,
      [name, 'ocp/4.5:base'],
      [`${JSON.stringify(name)} is not a command; --help lists them`],
    )
})

await t.test('without a command it serves', async (test) => {
  await refused(test, [], [/--robot-username-file is missing/, /--robot-password/, /--token-secret-file/])
})

await t.test('a command gets the arguments after its name', async (test) => {
  await refused(test, ['explain', '--json'], ['--json is not a flag of explain; --help lists them'])
})

await t.test('an error is its message, without a stack', async (test) => {
  test.strictSame(problemsIn(new Error('broken')), ['quay-proxy: broken'])
})
