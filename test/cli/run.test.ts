import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { problemsIn } from '../../src/cli/run.ts'
import { help, helpOf } from '../../src/config/help.ts'
import { ended, refused } from './fake-io.ts'

await t.test('--help lists the commands, that of a command its flags', async (test) => {
  for (const args of [['--help'], ['-help'], ['-h'], ['help']])
    test.strictSame(await ended(args), { code: 0, stdout: help(), stderr: [] })
  for (const args of [
    ['serve', '--bogus', '--help'],
    ['--listen-addr=:1', '-h'],
    ['help', 'serve'],
  ])
    test.strictSame(await ended(args), { code: 0, stdout: helpOf('serve'), stderr: [] })
  for (const name of ['sandbox', 'explain', 'audit-report', 'cache'] as const)
    for (const args of [
      [name, '--help'],
      ['help', name],
    ])
      test.strictSame(await ended(args), { code: 0, stdout: helpOf(name), stderr: [] })
})

await t.test('--version is that of the package', async (test) => {
  for (const args of [['--version'], ['version'], ['-v'], ['serve', '--version']])
    test.strictSame(await ended(args), { code: 0, stdout: manifest.version, stderr: [] })
})

await t.test('an unknown command is the only problem that is reported', async (test) => {
  for (const [name, meant] of [
    ['explian', ' did you mean explain?'],
    ['audit-rport', ' did you mean audit-report?'],
    ['sandbx', ' did you mean sandbox?'],
    ['ocp/4.5:base', ' did you mean explain ocp/4.5:base?'],
    ['constructor', ''],
    ['', ''],
  ] as const) {
    const problem = `${JSON.stringify(name)} is not a command;${meant} --help lists them`
    await refused(test, [name, 'ocp/4.5:base'], [problem])
    await refused(test, ['help', name], [problem])
    await refused(test, [name, '--help'], [problem])
  }
})

await t.test('without a command it serves', async (test) => {
  await refused(test, [], [/--robot-username-file is missing/, /--robot-password/, /--token-secret-file/])
})

await t.test('a command gets the arguments after its name', async (test) => {
  await refused(test, ['explain', '--json'], [/--json is not a flag of explain;/])
})

await t.test('an error is its message, without a stack', async (test) => {
  test.strictSame(problemsIn(new Error('broken')), ['quay-proxy: broken'])
})
