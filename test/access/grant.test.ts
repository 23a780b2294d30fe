import t from 'tap'
import { localGrants } from '../../src/access/remembered-grants.ts'
import { clusterKindOf, type ClusterIdentity } from '../../src/access/identity.ts'
import {
  decisionOf,
  reviewedGrant,
  cachedGrant,
  robotGrant,
  type CandidateReview,
} from '../../src/access/grant.ts'
import type { AccessReviews } from '../../src/access/policy.ts'

const identity = (username: string): ClusterIdentity => ({
  kind: clusterKindOf(username),
  key: username,
  user: { username, groups: [], extra: {} },
})
const qciWide: CandidateReview = { imageStream: { namespace: 'ocp' }, rule: 'qci-wide' }
const puller = (namespace: string, name = 'app'): CandidateReview => ({
  imageStream: { namespace, name },
  rule: 'image-puller',
})

type Answer = boolean | 'cached' | 'away'
const setUp = (answers: Readonly<Record<string, Answer>>, more: Partial<AccessReviews> = {}) => {
  const asked: string[] = []
  const reviews: AccessReviews = {
    peek: () => undefined,
    peekInGrace: () => undefined,
    review: async (_identity, { namespace, name }) => {
      asked.push(name === undefined ? namespace : `${namespace}/${name}`)
      const answer = answers[namespace] ?? false
      if (answer === 'away') throw new Error('away')
      return { allowed: answer === true, source: answer === 'cached' ? 'cached' : 'live' }
    },
    ...more,
  }
  const rememberedGrants = localGrants()
  const open = async (candidates: readonly CandidateReview[], username = 'alice') =>
    await reviewedGrant({ reviews, rememberedGrants }, identity(username), candidates)
  return { reviews, asked, open, rememberedGrants }
}

await t.test('the first yes in order, of reviews that are asked at once', async (test) => {
  const { open, asked } = setUp({ b: true, c: true })
  test.strictSame(await open([puller('a'), puller('b'), puller('c'), qciWide]), {
    rule: 'image-puller',
    grantedBy: 'b',
    source: 'live',
  })
  test.strictSame(asked, ['ocp', 'a/app', 'b/app', 'c/app'])
})

await t.test(
  'the order: QCI-wide, the own namespace, one stream of each, the rest; sixteen',
  async (test) => {
    const candidates = [
      puller('a'),
      puller('a', 'two'),
      qciWide,
      puller('b'),
      puller('mine'),
      puller('mine', 'two'),
    ]
    const { open, asked } = setUp({})
    await open(candidates, 'system:serviceaccount:mine:x')
    test.strictSame(asked, ['ocp', 'mine/app', 'a/app', 'b/app', 'a/two', 'mine/two'])
    const many = setUp({})
    await many.open(Array.from({ length: 50 }, (_, number) => puller(`n${number}`)))
    test.equal(many.asked.length, 16)
  },
)

await t.test(
  'where they were let in lately goes before the rest, and is written down for it',
  async (test) => {
    const { open, asked, rememberedGrants } = setUp({ b: true, c: 'cached', ocp: true })
    const username = 'system:serviceaccount:mine:x'
    const who = identity(username)
    await open([puller('a'), puller('b')], username)
    test.equal(rememberedGrants.holds(who, { namespace: 'b' }), 'namespace')
    await open([puller('a'), puller('c')], username)
    await open([qciWide], username)
    test.equal(
      rememberedGrants.holds(who, { namespace: 'ocp' }),
      undefined,
      'QCI-wide goes first without that',
    )
    asked.length = 0
    await open([puller('a'), puller('b', 'one'), puller('b'), puller('mine'), qciWide], username)
    test.strictSame(asked, ['ocp', 'mine/app', 'b/one', 'b/app', 'a/app'])
  },
)

await t.test('a refusal: where it comes from, and none where nothing is to be asked', async (test) => {
  const rows = [
    [[], 'none'],
    [[puller('a')], 'live'],
    [[puller('cached')], 'cached'],
    [[puller('cached'), puller('a')], 'live'],
  ] as const
  for (const [candidates, source] of rows)
    test.strictSame(await setUp({ cached: 'cached' }).open(candidates), { rule: 'none', source })
})

await t.test(
  'a review that fails: a yes beside it counts, then one of yesterday, else it is thrown',
  async (test) => {
    const candidates = [puller('a'), puller('b')]
    test.match(await setUp({ a: 'away', b: true }).open(candidates), { grantedBy: 'b', source: 'live' })
    await test.rejects(setUp({ a: 'away' }).open(candidates), { message: 'away' })
    const peekInGrace: AccessReviews['peekInGrace'] = (_identity, { namespace }) => namespace === 'b'
    test.strictSame(await setUp({ a: 'away' }, { peekInGrace }).open(candidates), {
      rule: 'image-puller',
      grantedBy: 'b',
      source: 'grace',
    })
  },
)

await t.test('a cached yes sends no review', async (test) => {
  const peek: AccessReviews['peek'] = (_identity, { namespace }) => namespace === 'b'
  const { asked, reviews } = setUp({}, { peek })
  const expected = { rule: 'image-puller', grantedBy: 'b', source: 'cached' } as const
  test.strictSame(cachedGrant(reviews, identity('alice'), [qciWide, puller('b')]), expected)
  test.strictSame(cachedGrant(reviews, identity('alice'), [puller('b')]), expected)
  test.equal(cachedGrant(reviews, identity('alice'), [qciWide]), undefined)
  test.strictSame(asked, [])
})

await t.test('a decision says whose image it is, and who granted it, where that is known', (test) => {
  const requirement = { imageStreams: [], qciWide: true }
  test.strictSame(decisionOf(robotGrant, requirement), { allowed: true, rule: 'robot', source: 'none' })
  test.strictSame(decisionOf({ rule: 'none', source: 'live' }, { ...requirement, namespace: 'ocp' }), {
    allowed: false,
    rule: 'none',
    namespace: 'ocp',
    source: 'live',
  })
  test.match(decisionOf({ rule: 'qci-wide', grantedBy: 'ocp', source: 'cached' }, requirement), {
    grantedBy: 'ocp',
  })
  test.end()
})
