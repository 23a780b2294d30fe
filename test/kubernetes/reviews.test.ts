import { KubeConfig } from '@kubernetes/client-node'
import t from 'tap'
import type { Test } from 'tap'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import { createReviews, type ReviewsOptions } from '../../src/kubernetes/reviews.ts'
import { startKubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { projectManifests as objects } from '../sandbox/app-ci/project-manifests.ts'

const setUp = async (test: Test) => {
  const server = await startKubernetesApi({ objects })
  test.teardown(() => server.close())
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(server.kubeconfig())
  const seen: unknown[] = []
  const charges: string[] = []
  const inFlight = new Map<string, number>()
  const shed: string[] = []
  const limited: string[] = []
  const sent: [kind: string, seconds: number][] = []
  const options: ReviewsOptions = {
    kubeConfig,
    tokenAudiences: [],
    tokenFormat: 'any',
    identityTtlMs: 60_000,
    allowTtlMs: 60_000,
    denyTtlMs: 60_000,
    graceMs: 60_000,
    onCharge: (address) => charges.push(address),
    observe: {
      review: (review) => seen.push(review),
      inFlight: (queue, change) => inFlight.set(queue, (inFlight.get(queue) ?? 0) + change),
      shed: (queue) => shed.push(queue),
      sent: (kind, seconds) => sent.push([kind, seconds]),
      loginLimited: (limit) => limited.push(limit),
    },
  }
  const reviews = createReviews(options)
  test.teardown(reviews.apiServer.close)
  return { reviews, server, seen, charges, inFlight, shed, limited, sent }
}

const anonymous: ClusterIdentity = {
  kind: 'anonymous',
  key: 'system:anonymous',
  user: { username: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} },
}

await t.test('a token, then access: live, then cached', async (test) => {
  const { reviews, server, seen, sent } = await setUp(test)
  const token = server.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  for (let round = 0; round < 2; round++) {
    const answered = await reviews.reviewToken(token, '10.0.0.1')
    if (!answered.authenticated) throw new Error('alice was refused')
    const { allowed } = await reviews.accessReviews.review(answered.identity, { namespace: 'ocp' })
    test.ok(allowed)
  }
  test.ok(reviews.apiServer.reached())
  test.match(sent, [
    ['TokenReview', Number],
    ['SubjectAccessReview', Number],
  ])
  test.equal(sent.length, 2, 'the time of reviews that were sent')
  test.strictSame(seen, [
    { kind: 'TokenReview', outcome: 'authenticated', source: 'live' },
    { kind: 'SubjectAccessReview', outcome: 'allowed', source: 'live' },
    { kind: 'TokenReview', outcome: 'authenticated', source: 'cached' },
    { kind: 'SubjectAccessReview', outcome: 'allowed', source: 'cached' },
  ])
})

await t.test('reviews of anonymous clients have a queue of their own', async (test) => {
  const { reviews, inFlight } = await setUp(test)
  test.match(await reviews.accessReviews.review(anonymous, { namespace: 'ocp' }), { allowed: false })
  test.strictSame([...inFlight], [['SubjectAccessReview of system:anonymous', 0]])
})

await t.test('a refused token is charged; charges of other replicas count as well', async (test) => {
  const { reviews, charges, limited } = await setUp(test)
  test.match(await reviews.reviewToken('made-up', '10.0.0.1'), { authenticated: false })
  test.strictSame(charges, ['10.0.0.1'])
  // Of other addresses: those of 10.0.0.2 would meet the limit of their address as soon as the limit of everybody recovers, which takes 20 ms.
  for (let count = 0; count < 100; count++) reviews.charge(`10.0.1.${count}`, 'unknown-address')
  const tokens = Array.from({ length: 40 }, (_, index) => `another-${index}`)
  const codes = await Promise.all(
    tokens.map(
      async (token) =>
        await reviews.reviewToken(token, '10.0.0.2').then(
          () => 'reviewed',
          ({ code }: { code: string }) => code,
        ),
    ),
  )
  test.ok(codes.includes('TOOMANYREQUESTS'))
  test.equal(limited[0], 'everybody')
})

await t.test('a review without a turn is shed', async (test) => {
  const { reviews, server, shed } = await setUp(test)
  server.fault({ kind: 'slow', delayMs: 1500 })
  const names = Array.from({ length: 100 }, (_, index) => `n${index}`)
  const asked = names.map(
    async (namespace) => await reviews.accessReviews.review(anonymous, { namespace }).catch(() => undefined),
  )
  await Promise.all(asked)
  test.ok(shed.length > 0)
  test.strictSame([...new Set(shed)], ['SubjectAccessReview of system:anonymous'])
})
