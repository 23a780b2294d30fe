import t from 'tap'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import { nothingKnown } from '../../src/access/requirement.ts'
import { createAuthorizationMode } from '../../src/audit/authorization-mode.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const account: ClusterIdentity = {
  kind: 'service-account',
  key: 'a',
  user: { username: 'system:serviceaccount:a:b', groups: [], extra: {} },
}
const base = parseReference(parseRepository('ocp', '4.5', 'openshift/ci'), 'base', ownerOf)

const rulesFor = (authorization: 'enforce' | 'audit', { review = false }: { review?: boolean } = {}) =>
  createAuthorizationMode({
    authorization,
    reviews: {
      review: async (_identity, { namespace }) => ({
        allowed: review && namespace === 'ocp',
        source: 'live',
      }),
      peek: () => undefined,
      peekInGrace: () => undefined,
    },
    knowledge: nothingKnown,
    lookFurther: async () => ({ hasNewFacts: false, isCertain: true }),
    isRestricted: () => false,
    unknownDigests: 'allow',
    qciNamespace: 'ocp',
  })

await t.test('enforce: our rules, and nothing beside them', async (test) => {
  const { policy, evaluateShadow } = rulesFor('enforce')
  test.match(await policy.decide(account, base), { allowed: false })
  test.equal(evaluateShadow, undefined)
})

await t.test('enforce: a list does not show what is open for being unseen', async (test) => {
  const digest = `sha256:${'a'.repeat(64)}` as const
  const { policy } = rulesFor('enforce', { review: true })
  const reference = parseReference(parseRepository('openshift', 'ci', 'openshift/ci'), digest, ownerOf)
  test.match(await policy.decide(account, reference), { allowed: true })
  test.equal(await policy.mayList(account, reference), false)
  test.equal(await policy.mayList(account, base), true)
})

await t.test("audit: the predecessor's, ours beside them", async (test) => {
  const { policy, evaluateShadow } = rulesFor('audit')
  test.match(await policy.decide(account, base), { allowed: true, rule: 'service-account' })
  test.match(await evaluateShadow?.(account, base), { decision: { allowed: false, rule: 'none' } })
})
