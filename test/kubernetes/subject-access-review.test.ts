import t from 'tap'
import { clusterKindOf, type ClusterIdentity } from '../../src/access/identity.ts'
import type { AccessReviewSpec } from '../../src/kubernetes/api-server.ts'
import { reviewShed } from '../../src/kubernetes/review-shed.ts'
import type { AccessAnswer } from '../../src/kubernetes/review-answer.ts'
import { createAccessReviewer } from '../../src/kubernetes/subject-access-review.ts'

const alice: ClusterIdentity = {
  kind: 'user',
  key: 'alice',
  user: {
    username: 'alice',
    uid: 'u-1',
    groups: ['qci-image-pullers', 'system:authenticated:oauth', 'system:authenticated'],
    extra: { 'scopes.authorization.openshift.io': ['user:info', 'user:check-access'], other: [] },
  },
}
const kubeAdmin: ClusterIdentity = {
  kind: 'user',
  key: 'kube:admin',
  user: { username: 'kube:admin', groups: ['system:cluster-admins'], extra: {} },
}
const resourceAttributes = {
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
}
const ocp = { namespace: 'ocp' }

const setUp = () => {
  let now = 1_000_000
  let reply: () => Promise<AccessAnswer> = async () => ({ allowed: true })
  const asked: AccessReviewSpec[] = []
  const observed: string[] = []
  const requesters: string[] = []
  let limited = 0
  const reviews = createAccessReviewer({
    send: async (spec, requester) => {
      asked.push(spec)
      requesters.push(requester)
      return await reply()
    },
    allowTtlMs: 60_000,
    denyTtlMs: 10_000,
    graceMs: 300_000,
    observe: ({ outcome, source }) => observed.push(`${outcome} ${source}`),
    observeLimited: () => limited++,
    now: () => now,
  })
  return {
    ...reviews,
    asked,
    requesters,
    limited: () => limited,
    shed: () => {
      reply = async () => {
        throw reviewShed()
      }
    },
    observed,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    replyWith: (status: AccessAnswer) => {
      reply = async () => status
    },
    fail: () => {
      reply = async () => {
        throw new Error('unavailable')
      }
    },
  }
}

await t.test('trap 18: uid, groups and extra go verbatim into the review', async (test) => {
  const { review, asked } = setUp()
  await review(alice, ocp)
  await review(alice, { namespace: 'ocp', name: '4.15' })
  const { username: user, uid, groups, extra } = alice.user
  test.strictSame(asked, [
    { user, uid, groups, extra, resourceAttributes: { ...resourceAttributes, namespace: 'ocp' } },
    {
      user,
      uid,
      groups,
      extra,
      resourceAttributes: { ...resourceAttributes, namespace: 'ocp', name: '4.15' },
    },
  ])
})

await t.test('trap 18: kube:admin has no uid, and the review has none', async (test) => {
  const { review, asked } = setUp()
  await review(kubeAdmin, ocp)
  test.strictSame(asked, [
    {
      user: 'kube:admin',
      groups: ['system:cluster-admins'],
      extra: {},
      resourceAttributes: { ...resourceAttributes, namespace: 'ocp' },
    },
  ])
  test.notOk('uid' in (asked[0] ?? {}))
})

await t.test('a yes is cached for 60 s, a no for 10 s', async (test) => {
  for (const [allowed, lifeMs] of [
    [true, 60_000],
    [false, 10_000],
  ] as const) {
    const { review, peek, asked, observed, pass, replyWith } = setUp()
    replyWith({ allowed })
    await review(alice, ocp)
    pass(lifeMs - 1)
    test.strictSame(await review(alice, ocp), { allowed, source: 'cached' })
    test.equal(peek(alice, ocp), allowed)
    pass(2)
    test.equal(peek(alice, ocp), undefined)
    test.strictSame(await review(alice, ocp), { allowed, source: 'live' })
    test.equal(asked.length, 2)
    const outcome = allowed ? 'allowed' : 'denied'
    test.strictSame(observed, [`${outcome} live`, `${outcome} cached`, `${outcome} live`])
  }
})

await t.test('each identity, namespace and name has its own answer', async (test) => {
  const { review, peek, asked } = setUp()
  const stream = { namespace: 'ocp', name: '4.15' }
  await review(alice, stream)
  test.equal(peek(alice, stream), true)
  test.equal(peek(alice, ocp), undefined)
  test.equal(peek(alice, { ...stream, name: '4.16' }), undefined)
  test.equal(peek(alice, { ...stream, namespace: 'ocp-priv' }), undefined)
  test.equal(peek(kubeAdmin, stream), undefined)
  test.equal(asked.length, 1, 'peek asks nobody')
})

await t.test('trap 42: 20 requests at once cause one review', async (test) => {
  const { review, asked, observed } = setUp()
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await review(alice, ocp)))
  test.ok(answers.every(({ allowed }) => allowed))
  test.equal(asked.length, 1)
  test.equal(observed.filter((line) => line === 'allowed live').length, 1)
})

await t.test('trap 17: a failure is a throw, not a no, and is not cached', async (test) => {
  const { review, peek, asked, observed, replyWith, fail } = setUp()
  fail()
  await test.rejects(review(alice, ocp), { message: 'unavailable' })
  test.equal(peek(alice, ocp), undefined)
  replyWith({ allowed: true })
  test.strictSame(await review(alice, ocp), { allowed: true, source: 'live' })
  test.equal(asked.length, 2)
  test.strictSame(observed, ['failed live', 'allowed live'])
})

await t.test('20 requests that wait for one failing review count one failure', async (test) => {
  const { review, asked, observed, fail } = setUp()
  fail()
  const answers = await Promise.allSettled(Array.from({ length: 20 }, async () => await review(alice, ocp)))
  test.ok(answers.every(({ status }) => status === 'rejected'))
  test.equal(asked.length, 1)
  test.strictSame(observed, ['failed live'])
})

await t.test(
  'grace: a cached yes stays valid for five minutes while the API server is unavailable, a no does not',
  async (test) => {
    const { review, peekInGrace, observed, pass, replyWith, fail } = setUp()
    const denied = { namespace: 'ocp-priv' }
    await review(alice, ocp)
    replyWith({ allowed: false })
    await review(alice, denied)
    fail()
    pass(60_001)
    test.equal(peekInGrace(alice, ocp), true)
    test.equal(peekInGrace(alice, denied), undefined)
    test.equal(peekInGrace(kubeAdmin, ocp), undefined)
    test.strictSame(await review(alice, ocp), { allowed: true, source: 'grace' })
    await test.rejects(review(alice, denied), { message: 'unavailable' })
    pass(240_000)
    test.equal(peekInGrace(alice, ocp), undefined)
    await test.rejects(review(alice, ocp), { message: 'unavailable' })
    test.strictSame(observed.slice(2), ['failed live', 'allowed grace', 'failed live', 'failed live'])
  },
)

await t.test('the system clock is used unless one is given', async (test) => {
  let asked = 0
  const reviews = createAccessReviewer({
    send: async () => ({ allowed: ++asked > 0 }),
    allowTtlMs: 60_000,
    denyTtlMs: 10_000,
    graceMs: 0,
    observe: () => undefined,
  })
  await reviews.review(alice, ocp)
  await reviews.review(alice, ocp)
  test.equal(asked, 1)
})

const person = (username: string): ClusterIdentity => ({
  kind: clusterKindOf(username),
  key: username,
  user: { username, groups: [], extra: {} },
})

await t.test('a review takes the share of its requester', async (test) => {
  const { review, requesters } = setUp()
  await review(alice, ocp)
  await review(person('system:serviceaccount:ci:builder'), ocp)
  test.strictSame(requesters, ['alice', 'system:serviceaccounts:ci'])
})

await t.test('attack: after a shed review, a yes has no grace for a moment', async (test) => {
  const { review, peekInGrace, pass, replyWith, shed, fail } = setUp()
  replyWith({ allowed: true })
  await review(alice, ocp)
  await review(kubeAdmin, ocp)
  pass(60_001)
  shed()
  await test.rejects(review(alice, ocp), { code: 'UNAVAILABLE', status: 503 })
  test.equal(peekInGrace(alice, ocp), undefined)
  test.equal(peekInGrace(kubeAdmin, ocp), true, 'whoever was not shed')
  replyWith({ allowed: false })
  await review(alice, { namespace: 'other' })
  test.equal(peekInGrace(alice, ocp), undefined, 'another question of theirs was answered meanwhile')
  fail()
  await test.rejects(review(alice, { namespace: 'third' }), { message: 'unavailable' })
  test.equal(peekInGrace(alice, ocp), true, 'the API server is away now')
  shed()
  await test.rejects(review(alice, { namespace: 'third' }))
  pass(1000)
  test.equal(peekInGrace(alice, ocp), true, 'a second later it is no news any more')
})

await t.test('attack: reviews for made-up names are limited for their requester only', async (test) => {
  const { review, peek, asked, replyWith, pass, limited } = setUp()
  replyWith({ allowed: true })
  await review(alice, ocp)
  replyWith({ allowed: false })
  let refused = 0
  for (let index = 0; index < 2000; index++)
    await review(person('mallory'), { namespace: `made-up-${index}` }).catch((error: unknown) => {
      refused++
      test.match(error, {
        code: 'TOOMANYREQUESTS',
        status: 429,
        headers: { 'retry-after': '1' },
        message: /^you asked for too many images that you may not pull; .* in 1 s$/,
      })
    })
  test.equal(asked.length, 501)
  test.strictSame([refused, limited()], [1500, 1500])
  test.equal(peek(alice, ocp), true)
  await review(person('bob'), ocp)
  pass(1000)
  for (let index = 0; index < 25; index++) await review(person('mallory'), { namespace: `later-${index}` })
  await test.rejects(review(person('mallory'), { namespace: 'later' }), { code: 'TOOMANYREQUESTS' })
})

await t.test('attack: a thousand service accounts of one namespace are one requester', async (test) => {
  const { review, replyWith } = setUp()
  replyWith({ allowed: false })
  for (let index = 0; index < 500; index++)
    await review(person(`system:serviceaccount:mine:sa-${index}`), ocp)
  await test.rejects(review(person('system:serviceaccount:mine:another'), ocp), { code: 'TOOMANYREQUESTS' })
  await review(person('system:serviceaccount:yours:one'), ocp)
})

await t.test('a former yes is reviewed again, whatever else its requester was refused', async (test) => {
  const { review, replyWith, pass } = setUp()
  replyWith({ allowed: true })
  await review(alice, ocp)
  replyWith({ allowed: false })
  for (let index = 0; index < 500; index++) await review(alice, { namespace: `n-${index}` })
  await test.rejects(review(alice, { namespace: 'n' }), { code: 'TOOMANYREQUESTS' })
  pass(60_001)
  for (let index = 0; index < 500; index++) await review(alice, { namespace: `m-${index}` })
  replyWith({ allowed: true })
  test.match(await review(alice, ocp), { allowed: true, source: 'live' })
})

await t.test('a yes and a failed review are not charged', async (test) => {
  const { review, replyWith, fail, limited } = setUp()
  fail()
  for (let index = 0; index < 600; index++) await review(alice, ocp).catch(() => undefined)
  replyWith({ allowed: true })
  for (let index = 0; index < 600; index++) await review(alice, { namespace: `n-${index}` })
  test.equal(limited(), 0)
})

await t.test(
  "attack: any number of reviews of one requester evict no other requester's answers",
  async (test) => {
    const identity = person('mallory')
    const reviews = createAccessReviewer({
      send: async () => ({ allowed: true }),
      allowTtlMs: 60_000,
      denyTtlMs: 10_000,
      graceMs: 0,
      observe: () => undefined,
      maxReviews: 1000,
      now: () => 0,
    })
    await reviews.review(alice, ocp)
    for (let index = 0; index < 1100; index++) await reviews.review(identity, { namespace: `n-${index}` })
    test.equal(reviews.peek(alice, ocp), true)
    test.equal(reviews.peek(identity, { namespace: 'n-0' }), undefined)
  },
)

await t.test('a refusal needs no observer', async (test) => {
  const reviews = createAccessReviewer({
    send: async () => ({ allowed: false }),
    allowTtlMs: 1,
    denyTtlMs: 1,
    graceMs: 0,
    observe: () => undefined,
    now: () => 0,
  })
  for (let index = 0; index < 500; index++) await reviews.review(alice, { namespace: `n-${index}` })
  await test.rejects(reviews.review(alice, ocp), { code: 'TOOMANYREQUESTS' })
})

await t.test('the right to a path: the same cache, limits and grace', async (test) => {
  const { reviewPath, review, asked, requesters, pass, replyWith, fail, limited } = setUp()
  const right = { verb: 'get', path: '/mirrors' } as const
  test.strictSame(await reviewPath(alice, right), { allowed: true, source: 'live' })
  test.strictSame(await reviewPath(alice, right), { allowed: true, source: 'cached' })
  test.match(asked, [{ user: 'alice', nonResourceAttributes: right }])
  test.notOk('resourceAttributes' in (asked[0] as object))
  test.strictSame(requesters, ['alice'])
  await reviewPath(alice, { verb: 'post', path: '/mirrors' })
  await review(alice, { namespace: 'get', name: 'mirrors' })
  test.equal(asked.length, 3, 'each verb, path and image stream has its own answer')
  pass(60_001)
  fail()
  test.strictSame(await reviewPath(alice, right), { allowed: true, source: 'grace' })
  pass(300_000)
  await test.rejects(reviewPath(alice, right), { message: 'unavailable' })
  replyWith({ allowed: false })
  for (let count = 0; count < 500; count++)
    await reviewPath(alice, { ...right, path: `/mirrors/a/b:${count}` })
  await test.rejects(reviewPath(alice, { ...right, path: '/mirrors/a/b:x' }), { code: 'TOOMANYREQUESTS' })
  test.equal(limited(), 1)
})
