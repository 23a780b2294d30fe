import t from 'tap'
import { sandboxFlags } from '../../src/config/command-arguments.ts'
import { aliases, flags, deprecatedFlags } from '../../src/config/flags.ts'
import { help } from '../../src/config/help.ts'

await t.test('the table holds every flag, in order, with its fallback, and nothing else', async (test) => {
  const rows = help()
    .split('\n')
    .filter((line) => line.startsWith('  --'))
  test.strictSame(
    rows.map((row) => /^ {2}--([\w-]+) /.exec(row)?.[1]),
    Object.values(flags).map(({ name }) => name),
  )
  for (const [index, { help: text, fallback = '', choices }] of Object.values(flags).entries())
    if (choices.length === 0)
      test.ok(rows[index]?.endsWith(fallback === '' ? text : `${text} (${fallback})`), text)
})

await t.test('every value that can be chosen is listed, the one that holds first', async (test) => {
  const row = (name: string) =>
    help()
      .split('\n')
      .find((line) => line.startsWith(`  --${name} `))
  test.match(row('log-level'), /\(info; or trace, debug, warn, error, fatal, silent\)$/)
  test.match(row('imagestreams'), /\(off; or watch\)$/)
  for (const { name, fallback, choices } of Object.values(flags)) {
    const [, shown = '', others = ''] = / \(([\w-]+); or ([\w, -]+)\)$/.exec(row(name) ?? '') ?? []
    if (choices.length === 0) continue
    test.equal(shown, fallback, name)
    test.same(new Set([shown, ...others.split(', ')]), new Set(choices), name)
  }
})

await t.test('where the sandbox has its RBAC from', async (test) => {
  const [, text = ''] = /--rbac DIR +([\s\S]*?)--as/.exec(help()) ?? []
  test.match(text, 'manifests/rbac and examples')
})

await t.test('the flags of the predecessor are named, those of the sandbox too', async (test) => {
  for (const name of [
    ...Object.keys(aliases),
    ...Object.keys(deprecatedFlags),
    ...Object.keys(sandboxFlags),
    'version',
  ])
    test.match(help(), new RegExp(`--${name}\\b`), name)
})

await t.test('it fits a terminal', async (test) => {
  for (const line of help().split('\n').slice(0, -2)) test.ok(line.length <= 130, line)
})
