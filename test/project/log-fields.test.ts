/** docs/log.md against the source: each field that a call of the logger names has its row. Scenarios compare the types of whole lines. */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { documentedFields, undocumentedIn } from '../support/log-fields.ts'

/** `{ a, b: 1, ...rest }` of each call with a literal object. */
const namedIn = (source: string): string[] =>
  [
    ...source.matchAll(/\b#?logger(?:\[[^\]]*\]|\.(?:trace|debug|info|warn|error|fatal))\(\s*\{([^}]*)\}/g),
  ].flatMap(([, fields = '']) =>
    fields
      .split(',')
      .map((field) => field.trim().split(':')[0]!.trim())
      .filter((name) => /^\w+$/.test(name)),
  )

await t.test('each field that the source names is in docs/log.md', async (test) => {
  const named = globSync('src/**/*.ts').flatMap((file) => namedIn(readFileSync(file, 'utf8')))
  test.ok(named.length > 60)
  test.strictSame(
    [...new Set(named)].filter((name) => !documentedFields.has(name)),
    [],
  )
})

await t.test('a field that is missing in the document, or of another type, is found', async (test) => {
  test.ok(documentedFields.size > 60)
  const good = {
    level: 'info',
    status: 200,
    err: { type: 'Error', message: 'x', cause: { type: 'Error', message: 'y' } },
  }
  test.strictSame(undocumentedIn([good, JSON.stringify(good)]), [])
  test.strictSame(
    undocumentedIn([
      { status: '200', bogus: 1, refused: { by: 5, other: 1 }, openedBy: [1], level: null },
      { err: { type: 'Error', message: 'x', stack: 'y' } },
      { err: { type: 'Error', message: 'x', cause: 'y' } },
      { err: 'x' },
    ]),
    [
      'status is a string, and number in docs/log.md',
      'bogus is a number, and nothing in docs/log.md',
      'refused.by is a number, and string in docs/log.md',
      'refused.other is a number, and nothing in docs/log.md',
      'openedBy is a list of others, and list in docs/log.md',
      'level is a null, and string in docs/log.md',
      'err is no error',
    ],
  )
})
