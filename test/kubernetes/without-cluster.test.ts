import t from 'tap'
import { reviewsWithoutCluster } from '../../src/kubernetes/without-cluster.ts'

const alice = {
  kind: 'user',
  key: 'alice',
  user: { username: 'alice', groups: ['system:masters'], extra: {} },
} as never

await t.test('without a cluster, every token is refused and nothing is granted', async (test) => {
  const { reviewToken, accessReviews, apiServer, charge } = reviewsWithoutCluster()
  test.match(await reviewToken('any token', '10.0.0.1'), {
    authenticated: false,
    refusal: { by: 'configuration', reason: 'this proxy accepts robots only' },
  })
  test.strictSame(await accessReviews.review(alice, { namespace: 'ocp' }), { allowed: false, source: 'live' })
  test.strictSame(await accessReviews.reviewPath(alice, { verb: 'get', path: '/mirrors' }), {
    allowed: false,
    source: 'live',
  })
  test.equal(accessReviews.peek(alice, { namespace: 'ocp' }), undefined)
  test.equal(accessReviews.peekInGrace(alice, { namespace: 'ocp' }), undefined)
  test.match(await apiServer.reviewToken({ token: 'any token', audiences: [] }), {
    authenticated: false,
  })
  test.strictSame(await apiServer.reviewAccess({ resourceAttributes: {} }), { allowed: false })
  test.equal(charge('10.0.0.1', 'unknown-address'), undefined)
  await apiServer.close()
})

await t.test('a proxy without a cluster does not wait for one before it is ready', async (test) =>
  test.equal(reviewsWithoutCluster().apiServer.reached(), true),
)
