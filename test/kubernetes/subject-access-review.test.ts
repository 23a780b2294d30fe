import type { V1SubjectAccessReviewSpec, V1SubjectAccessReviewStatus } from '@kubernetes/client-node'
import t from 'tap'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import { createAccessReviewer } from '../../src/kubernetes/subject-access-review.ts'

const alice: ClusterIdentity = {
  kind: 'cluster',
  key: 'alice',
  user: {
    username: 'alice',
    uid: 'u-1',
    groups: ['qci-image-pullers', 'system:authenticated:oauth', 'system:authenticated'],
    extra: { 'scopes.authorization.openshift.io': ['user:info', 'user:check-access'], other: [] },
  },
}
const kubeAdmin: ClusterIdentity = {
  kind: 'cluster',
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
  let reply: () => Promise<V1SubjectAccessReviewStatus> = async () => ({ allowed: true })
  const asked: V1SubjectAccessReviewSpec[] = []
  const observed: string[] = []
  const reviews = createAccessReviewer({
    ask: async (spec) => {
      asked.push(spec)
      return await reply()
    },
    allowTtlMs: 60_000,
    denyTtlMs: 10_000,
    graceMs: 300_000,
    observe: ({ outcome, source }) => observed.push(`${outcome} ${source}`),
    now: () => now,
  })
  return {
    ...reviews,
    asked,
    observed,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    replyWith: (status: V1SubjectAccessReviewStatus) => {
      reply = async () => status
    },
    away: () => {
      reply = async () => {
        throw new Error('away')
      }
    },
  }
}

await t.test('trap 18: uid, groups and extra go verbatim into the question', async (test) => {
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

await t.test('trap 18: kube:admin has no uid, and none is made up', async (test) => {
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

await t.test('only an outspoken yes opens; evaluationError changes nothing', async (test) => {
  const rows: readonly (readonly [V1SubjectAccessReviewStatus, boolean])[] = [
    [{ allowed: true }, true],
    [{ allowed: true, evaluationError: 'role "x" not found' }, true],
    [{ allowed: false }, false],
    [{ allowed: false, denied: true }, false],
    [{ allowed: false, denied: false, reason: 'no opinion' }, false],
    [{ allowed: false, evaluationError: 'x' }, false],
    [{} as V1SubjectAccessReviewStatus, false],
    [{ allowed: 'true' } as unknown as V1SubjectAccessReviewStatus, false],
    [{ allowed: 1 } as unknown as V1SubjectAccessReviewStatus, false],
  ]
  for (const [status, allowed] of rows) {
    const { review, replyWith } = setUp()
    replyWith(status)
    test.strictSame(await review(alice, ocp), { allowed, source: 'asked' }, JSON.stringify(status))
  }
})

await t.test('a yes holds 60 s, a no 10 s', async (test) => {
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
    test.strictSame(await review(alice, ocp), { allowed, source: 'asked' })
    test.equal(asked.length, 2)
    const outcome = allowed ? 'allowed' : 'denied'
    test.strictSame(observed, [`${outcome} asked`, `${outcome} cached`, `${outcome} asked`])
  }
})

await t.test('a yes for one is no yes for another: identity, namespace and name keep apart', async (test) => {
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

await t.test('trap 42: 20 at once are one question', async (test) => {
  const { review, asked, observed } = setUp()
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await review(alice, ocp)))
  test.ok(answers.every(({ allowed }) => allowed))
  test.equal(asked.length, 1)
  test.equal(observed.filter((line) => line === 'allowed asked').length, 1)
})

await t.test('trap 17: an outage is a throw, not a no, and is not remembered', async (test) => {
  const { review, peek, asked, observed, replyWith, away } = setUp()
  away()
  await test.rejects(review(alice, ocp), { message: 'away' })
  test.equal(peek(alice, ocp), undefined)
  replyWith({ allowed: true })
  test.strictSame(await review(alice, ocp), { allowed: true, source: 'asked' })
  test.equal(asked.length, 2)
  test.strictSame(observed, ['failed asked', 'allowed asked'])
})

await t.test('grace: a yes counts for five minutes of an outage, a no does not', async (test) => {
  const { review, peekInGrace, observed, pass, replyWith, away } = setUp()
  const denied = { namespace: 'ocp-priv' }
  await review(alice, ocp)
  replyWith({ allowed: false })
  await review(alice, denied)
  away()
  pass(60_001)
  test.equal(peekInGrace(alice, ocp), true)
  test.equal(peekInGrace(alice, denied), undefined)
  test.equal(peekInGrace(kubeAdmin, ocp), undefined)
  test.strictSame(await review(alice, ocp), { allowed: true, source: 'grace' })
  await test.rejects(review(alice, denied), { message: 'away' })
  pass(240_000)
  test.equal(peekInGrace(alice, ocp), undefined)
  await test.rejects(review(alice, ocp), { message: 'away' })
  test.strictSame(observed.slice(2), ['allowed grace', 'failed asked', 'failed asked'])
})

await t.test('the clock of the machine unless told', async (test) => {
  let asked = 0
  const reviews = createAccessReviewer({
    ask: async () => ({ allowed: ++asked > 0 }),
    allowTtlMs: 60_000,
    denyTtlMs: 10_000,
    graceMs: 0,
    observe: () => undefined,
  })
  await reviews.review(alice, ocp)
  await reviews.review(alice, ocp)
  test.equal(asked, 1)
})
