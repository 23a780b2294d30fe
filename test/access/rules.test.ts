import t from 'tap'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import { nothingKnown } from '../../src/access/doors.ts'
import { createRules } from '../../src/access/rules.ts'
import { parseReference, parseRepository } from '../../src/reference.ts'

const account: ClusterIdentity = {
  kind: 'cluster',
  key: 'a',
  user: { username: 'system:serviceaccount:a:b', groups: [], extra: {} },
}
const base = parseReference(parseRepository('ocp', '4.5', 'openshift/ci'), 'base')

const rulesFor = (authorization: 'enforce' | 'audit') =>
  createRules({
    authorization,
    reviews: {
      review: async () => ({ allowed: false, source: 'asked' }),
      peek: () => undefined,
      peekInGrace: () => undefined,
    },
    knowledge: nothingKnown,
    lookFurther: async () => ({ hasLearnt: false, isCertain: true }),
    isRestricted: () => false,
    unknownDigests: 'allow',
    qciNamespace: 'ocp',
  })

await t.test('enforce: our rules, and nothing beside them', async (test) => {
  const { policy, judgeBeside } = rulesFor('enforce')
  test.match(await policy.decide(account, base), { allowed: false })
  test.equal(judgeBeside, undefined)
})

await t.test("audit: the predecessor's, ours beside them", async (test) => {
  const { policy, judgeBeside } = rulesFor('audit')
  test.match(await policy.decide(account, base), { allowed: true, rule: 'service-account' })
  test.match(await judgeBeside?.(account, base), { decision: { allowed: false, rule: 'none' } })
})
