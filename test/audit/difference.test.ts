import t from 'tap'
import type { Decision } from '../../src/access/policy.ts'
import { differenceOf } from '../../src/audit/difference.ts'

const yes: Decision = { allowed: true, rule: 'service-account', source: 'none' }
const no: Decision = { allowed: false, rule: 'none', source: 'live' }

await t.test('what is in force, held against what is beside it', async (test) => {
  const rows = [
    [yes, yes, 200, undefined],
    [yes, no, 200, 'loss'],
    [yes, no, 206, 'loss'],
    [yes, no, 404, undefined],
    [yes, no, 503, undefined],
    [yes, undefined, 200, 'undecided'],
    [yes, undefined, 404, undefined],
    [no, yes, 403, 'gain'],
    [no, no, 403, undefined],
    [no, undefined, 403, 'undecided'],
  ] as const
  for (const [enforced, decision, status, expected] of rows)
    test.equal(
      differenceOf(enforced, { decision, openedBy: [] }, status),
      expected,
      `${enforced.allowed} ${decision?.allowed} ${status}`,
    )
})
