import t from 'tap'
import { aliases, flags, retired } from '../../src/config/flags.ts'
import { help } from '../../src/config/help.ts'

await t.test('the table holds every flag, in order, with its fallback, and nothing else', async (test) => {
  const rows = help()
    .split('\n')
    .filter((line) => line.startsWith('  --'))
  test.strictSame(
    rows.map((row) => /^ {2}--([\w-]+) /.exec(row)?.[1]),
    Object.keys(flags),
  )
  for (const [index, { help: text, fallback = '' }] of Object.values(flags).entries())
    test.ok(rows[index]?.endsWith(fallback === '' ? text : `${text} (${fallback})`), text)
})

await t.test('the flags of the predecessor are named, those of the sandbox too', async (test) => {
  for (const name of [...Object.keys(aliases), ...Object.keys(retired), 'check', 'rbac', 'port', 'version'])
    test.match(help(), new RegExp(`--${name}\\b`), name)
})

await t.test('it fits a terminal', async (test) => {
  for (const line of help().split('\n').slice(0, -2)) test.ok(line.length <= 130, line)
})
