import t from 'tap'
import type { Decision } from '../../src/access/policy.ts'
import { differenceOf } from '../../src/audit/difference.ts'

const yes: Decision = { allowed: true, rule: 'service-account', source: 'none' }
const no: Decision = { allowed: false, rule: 'none', source: 'live' }

await t.test('the enforced decision, compared with the shadow decision', async (test) => {
  const rows = [
    [yes, yes, undefined],
    [yes, no, 'loss'],
    [yes, undefined, 'undecided'],
    [no, yes, 'gain'],
    [no, no, undefined],
    [no, undefined, 'undecided'],
  ] as const
  for (const [enforced, decision, expected] of rows)
    test.equal(
      differenceOf(enforced, { decision, openedBy: [] }),
      expected,
      `${enforced.allowed} ${decision?.allowed}`,
    )
})
