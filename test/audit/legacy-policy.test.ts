import t from 'tap'
import { createRequirements, nothingKnown } from '../../src/access/requirement.ts'
import { clusterKindOf, type Identity } from '../../src/access/identity.ts'
import { createLegacyPolicy } from '../../src/audit/legacy-policy.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const identity = (username: string, kind: Identity['kind'] = clusterKindOf(username)) =>
  ({ kind, key: username, user: { username, groups: [], extra: {} } }) as Identity

const setUp = (more: { outdated?: boolean; failing?: boolean } = {}) => {
  const asked: string[] = []
  const policy = createLegacyPolicy({
    reviews: {
      review: async ({ user: { username } }, { namespace, name }) => {
        asked.push(`${username} ${namespace} ${name ?? ''}`)
        if (more.failing === true) throw new Error('away')
        return { allowed: username === 'alice', source: 'live' }
      },
      peek: () => undefined,
      peekInGrace: () => more.outdated,
    },
    requirementsOf: createRequirements({
      knowledge: nothingKnown,
      isRestricted: () => true,
      unknownDigests: 'deny',
    }),
    qciNamespace: 'qci',
  })
  return { policy, asked }
}

const embargoed = parseReference(parseRepository('ocp-priv', '4.5', 'openshift/ci'), 'base', ownerOf)

await t.test(
  'service accounts and robots may pull everything without a review; people by one review',
  async (test) => {
    const { policy, asked } = setUp()
    const place = { namespace: 'ocp-priv' }
    const rows = [
      ['system:serviceaccount:a:b', { allowed: true, rule: 'service-account', ...place, source: 'none' }],
      ['alice', { allowed: true, rule: 'qci-wide', ...place, grantedBy: 'qci', source: 'live' }],
      ['mallory', { allowed: false, rule: 'none', ...place, source: 'live' }],
      ['system:anonymous', { allowed: false, rule: 'none', ...place, source: 'live' }],
    ] as const
    for (const [name, expected] of rows) {
      test.strictSame(await policy.decide(identity(name), embargoed), expected, name)
      test.strictSame(await policy.decideImageStream(identity(name), place), expected, `${name}: a list`)
      test.equal(await policy.mayList(identity(name), embargoed), expected.allowed, `${name}: in a list`)
    }
    test.match(await policy.decide(identity('robot', 'robot'), embargoed), { allowed: true, rule: 'robot' })
    test.strictSame([...new Set(asked)], ['alice qci ', 'mallory qci ', 'system:anonymous qci '])
  },
)

await t.test('decisions without a review need no promise', async (test) => {
  const { policy, asked } = setUp()
  for (const requester of [identity('system:serviceaccount:a:b'), identity('robot', 'robot')])
    test.match(policy.decide(requester, embargoed), { allowed: true, source: 'none' })
  test.strictSame(asked, [])
  test.ok(policy.decide(identity('alice'), embargoed) instanceof Promise)
})

await t.test('a failed review throws, unless a cached yes counts in its grace', async (test) => {
  await test.rejects(async () => await setUp({ failing: true }).policy.decide(identity('alice'), embargoed), {
    message: 'away',
  })
  const grace = await setUp({ failing: true, outdated: true }).policy.decide(identity('alice'), embargoed)
  test.match(grace, { allowed: true, source: 'grace' })
})
