import t from 'tap'
import { sandboxFlags } from '../../src/config/command-arguments.ts'
import { aliases, flags, deprecatedFlags } from '../../src/config/flags.ts'
import { help, helpOf } from '../../src/config/help.ts'

await t.test('the table holds every flag, in order, with its fallback, and nothing else', async (test) => {
  const rows = helpOf('serve')
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
    helpOf('serve')
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

await t.test("the directories of the sandbox's RBAC", async (test) => {
  const [, text = ''] = /--rbac +([\s\S]*?)--as/.exec(helpOf('sandbox')) ?? []
  test.match(text, 'manifests/rbac and examples')
})

await t.test('the help names the flags of qci-appci and of the sandbox', async (test) => {
  for (const name of [...Object.keys(aliases), ...Object.keys(deprecatedFlags)])
    test.match(helpOf('serve'), new RegExp(`--${name}\\b`), name)
  for (const name of Object.keys(sandboxFlags))
    test.match(helpOf('sandbox'), new RegExp(`--${name}\\b`), name)
  test.match(help(), /--version\b/)
})

const names = ['serve', 'sandbox', 'explain', 'audit-report', 'cache'] as const

await t.test('each command is listed, with its flags in a text of its own', async (test) => {
  for (const name of names) {
    test.match(help(), name)
    test.match(helpOf(name), new RegExp(`^quay-proxy (\\[serve\\]|${name}) `))
  }
  test.match(helpOf('cache'), /^ {2}--cache-dir +/m)
  test.match(helpOf('audit-report'), /^ {2}--json +print JSON \(false\)$/m)
  test.match(helpOf('explain'), 'QUAY_PROXY_QCI_NAMESPACE')
  test.notMatch(helpOf('sandbox'), 'environment', 'its flags have no twins')
})

await t.test('it fits a terminal', async (test) => {
  for (const text of [help(), ...names.map(helpOf)])
    for (const line of text.split('\n')) test.ok(line.length <= 130, line)
})
