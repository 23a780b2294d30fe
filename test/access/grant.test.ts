import t from 'tap'
import { localGrants } from '../../src/access/recent-grants.ts'
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

type Answer = boolean | 'cached' | 'unavailable'
const setUp = (answers: Readonly<Record<string, Answer>>, more: Partial<AccessReviews> = {}) => {
  const asked: string[] = []
  const reviews: AccessReviews = {
    peek: () => undefined,
    peekInGrace: () => undefined,
    review: async (_identity, { namespace, name }) => {
      asked.push(name === undefined ? namespace : `${namespace}/${name}`)
      const answer = answers[namespace] ?? false
      if (answer === 'unavailable') throw new Error('unavailable')
      return { allowed: answer === true, source: answer === 'cached' ? 'cached' : 'live' }
    },
    ...more,
  }
  const recentGrants = localGrants()
  const open = async (candidates: readonly CandidateReview[], username = 'alice') =>
    await reviewedGrant({ reviews, recentGrants }, identity(username), candidates)
  return { reviews, asked, open, recentGrants }
}

await t.test('the grant is the first yes in order, of reviews that are sent at once', async (test) => {
  const { open, asked } = setUp({ b: true, c: true })
  test.strictSame(await open([puller('a'), puller('b'), puller('c'), qciWide]), {
    rule: 'image-puller',
    grantedBy: 'b',
    source: 'live',
  })
  test.strictSame(asked, ['ocp', 'a/app', 'b/app', 'c/app'])
})

await t.test(
  'the order: QCI-wide, the own namespace, one stream of each namespace, the rest; at most sixteen',
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

await t.test('recent grants go before the rest, and a live yes is recorded as one', async (test) => {
  const { open, asked, recentGrants } = setUp({ b: true, c: 'cached', ocp: true })
  const username = 'system:serviceaccount:mine:x'
  const who = identity(username)
  await open([puller('a'), puller('b')], username)
  test.equal(recentGrants.match(who, { namespace: 'b' }), 'namespace')
  await open([puller('a'), puller('c')], username)
  await open([qciWide], username)
  test.equal(recentGrants.match(who, { namespace: 'ocp' }), undefined, 'QCI-wide goes first without that')
  asked.length = 0
  await open([puller('a'), puller('b', 'one'), puller('b'), puller('mine'), qciWide], username)
  test.strictSame(asked, ['ocp', 'mine/app', 'b/one', 'b/app', 'a/app'])
})

await t.test('the source of a refusal, and none without candidates', async (test) => {
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
  'if a review fails, another yes counts, then a cached yes in its grace; otherwise the error is thrown',
  async (test) => {
    const candidates = [puller('a'), puller('b')]
    test.match(await setUp({ a: 'unavailable', b: true }).open(candidates), {
      grantedBy: 'b',
      source: 'live',
    })
    await test.rejects(setUp({ a: 'unavailable' }).open(candidates), { message: 'unavailable' })
    const peekInGrace: AccessReviews['peekInGrace'] = (_identity, { namespace }) => namespace === 'b'
    test.strictSame(await setUp({ a: 'unavailable' }, { peekInGrace }).open(candidates), {
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
  test.strictSame(cachedGrant(reviews.peek, identity('alice'), [qciWide, puller('b')]), expected)
  test.strictSame(cachedGrant(reviews.peek, identity('alice'), [puller('b')]), expected)
  test.equal(cachedGrant(reviews.peek, identity('alice'), [qciWide]), undefined)
  test.strictSame(asked, [])
})

await t.test(
  'a decision has the owner of the image and the granting namespace, if they are known',
  (test) => {
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
  },
)
