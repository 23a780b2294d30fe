/** docs/log.md against the source: each field that a call of the logger names has its row. Scenarios compare the types of whole lines. */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import type { IdentityKind } from '../../src/access/identity.ts'
import type { TokenKind, TokenRefusal } from '../../src/access/token-refusal.ts'
import type { Difference } from '../../src/audit/difference.ts'
import type { WatchFailure } from '../../src/kubernetes/image-streams.ts'
import type { IndexPhase } from '../../src/digests/restricted-index/restricted-walk.ts'
import type { SharedStatus } from '../../src/shared-state/shared-state.ts'
import {
  type closedFields,
  documentedFields,
  documentedValues,
  undocumentedIn,
} from '../support/log-fields.ts'

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

/** Types that are compared with the document. The compiler demands every value of a type here, and no other one. */
const values: Readonly<
  Record<Exclude<(typeof closedFields)[number], 'level'>, Readonly<Record<string, true>>>
> = {
  kind: {
    user: true,
    'service-account': true,
    robot: true,
    anonymous: true,
    // In lines of the cache.
    blobs: true,
    manifests: true,
  } satisfies Record<IdentityKind | 'blobs' | 'manifests', true>,
  decision: { allowed: true, denied: true },
  'refused.by': { form: true, cluster: true, configuration: true } satisfies Record<TokenRefusal['by'], true>,
  'refused.tokenKind': { jwt: true, openshift: true, opaque: true } satisfies Record<TokenKind, true>,
  // The state of one process alone never changes.
  state: { connected: true, unavailable: true } satisfies Record<
    Exclude<SharedStatus['state'], 'embedded'>,
    true
  >,
  failure: { list: true, watch: true, expired: true } satisfies Record<WatchFailure, true>,
  phase: { live: true, dated: true, attached: true, idle: true } satisfies Record<IndexPhase, true>,
  difference: { loss: true, gain: true, undecided: true } satisfies Record<Difference, true>,
}

await t.test('the values of a field are those that the source has', async (test) => {
  for (const [name, ofSource] of Object.entries(values))
    test.strictSame(
      [...(documentedValues.get(name) ?? [])].toSorted(),
      Object.keys(ofSource).toSorted(),
      name,
    )
  test.equal(documentedValues.get('level')?.size, 6)
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
      { phase: 'pruned' },
    ]),
    [
      'status is a string, and number in docs/log.md',
      'bogus is a number, and nothing in docs/log.md',
      'refused.by is a number, and string in docs/log.md',
      'refused.other is a number, and nothing in docs/log.md',
      'openedBy is a list of others, and list in docs/log.md',
      'level is a null, and string in docs/log.md',
      'err is no error',
      'phase is pruned, which docs/log.md does not have',
    ],
  )
})
