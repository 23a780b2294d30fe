import t from 'tap'
import { createRbac } from '../../../src/sandbox/app-ci/rbac.ts'
import type { SubjectAccessReviewSpec } from '../../../src/sandbox/app-ci/reviews.ts'
import { authorize, reviewAccess, reviewToken } from '../../../src/sandbox/app-ci/reviews.ts'
import { apiAudience, createTokens } from '../../../src/sandbox/app-ci/tokens.ts'

const rbacApi = 'rbac.authorization.k8s.io/v1'
const rbac = createRbac([
  {
    apiVersion: rbacApi,
    kind: 'ClusterRole',
    metadata: { name: 'puller' },
    rules: [{ verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'] }],
  },
  {
    apiVersion: rbacApi,
    kind: 'RoleBinding',
    metadata: { name: 'b', namespace: 'ocp' },
    roleRef: { kind: 'ClusterRole', name: 'puller' },
    subjects: [
      { kind: 'User', name: 'alice' },
      { kind: 'Group', name: 'pullers' },
    ],
  },
])
const resourceAttributes = {
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
  namespace: 'ocp',
}
const allowedStatus = {
  allowed: true,
  reason: 'RBAC: allowed by RoleBinding "b/ocp" of ClusterRole "puller" to User "alice"',
}

const tokens = createTokens({ now: Date.now })
const tokenReview = (spec: unknown) =>
  reviewToken(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }), tokens)
const accessReview = (spec: unknown, seen: SubjectAccessReviewSpec[] = []) =>
  reviewAccess(
    JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec }),
    rbac,
    (one) => seen.push(one),
  )

await t.test('TokenReview: a good token', async (test) => {
  const token = tokens.issueUserToken({ username: 'alice', groups: [] })
  test.match(tokenReview({ token }), {
    status: 201,
    body: {
      kind: 'TokenReview',
      apiVersion: 'authentication.k8s.io/v1',
      spec: { token },
      status: { authenticated: true, user: { username: 'alice' }, audiences: [apiAudience] },
    },
  })
  const withAudiences = (...audiences: string[]) => tokenReview({ token, audiences })
  test.match(withAudiences(), { body: { status: { authenticated: true } } })
  test.match(withAudiences(apiAudience, 'quay-proxy'), { body: { status: { audiences: [apiAudience] } } })
  test.match(withAudiences('quay-proxy'), { status: 201, body: { status: { authenticated: false } } })
})

await t.test('TokenReview: a bad token is an answer, not an error', async (test) => {
  test.match(tokenReview({ token: 'nonsense' }), {
    status: 201,
    body: { status: { authenticated: false, user: {}, error: /^\[invalid bearer token, / } },
  })
})

const refusal = (message: string | RegExp) => ({
  status: 400,
  body: { kind: 'Status', status: 'Failure', reason: 'BadRequest', code: 400, message },
})

await t.test('TokenReview: what is no review', async (test) => {
  for (const spec of [{ token: '' }, {}, { token: 7 }, { status: 201 }]) {
    test.match(tokenReview(spec), refusal('token is required for TokenReview in authentication'))
  }
  test.match(tokenReview(null), refusal('TokenReview without spec'))
  test.match(tokenReview('x'), refusal('TokenReview without spec'))
  test.match(reviewToken('{', tokens), refusal(/^the object provided is unrecognized: SyntaxError/))
  for (const body of ['null', '[]', '"x"', '{}']) {
    test.match(reviewToken(body, tokens), refusal('TokenReview without spec'))
  }
  test.match(reviewToken('{"spec":{"token":"x"}}', tokens), { status: 201 }, 'the path says what it is')
  for (const body of ['{"kind":"SubjectAccessReview"}', '{"apiVersion":"authentication.k8s.io/v1beta1"}']) {
    test.match(
      reviewToken(body, tokens),
      refusal('the body must be a TokenReview of authentication.k8s.io/v1'),
    )
  }
})

await t.test('SubjectAccessReview: allowed, and no opinion', async (test) => {
  const seen: SubjectAccessReviewSpec[] = []
  const spec = { user: 'alice', uid: 'u-1', groups: ['g'], extra: { x: ['y'] }, resourceAttributes }
  test.same(accessReview(spec, seen), {
    status: 201,
    body: {
      kind: 'SubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: {},
      spec,
      status: allowedStatus,
    },
  })
  const mallory = { user: 'mallory', resourceAttributes }
  test.same(accessReview(mallory, seen).body, {
    kind: 'SubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    metadata: {},
    spec: mallory,
    status: { allowed: false },
  })
  test.match(accessReview({ groups: ['pullers'], resourceAttributes }), {
    body: { status: { allowed: true } },
  })
  test.same(seen, [spec, mallory])
})

await t.test('SubjectAccessReview: what is no review', async (test) => {
  const seen: SubjectAccessReviewSpec[] = []
  const invalid = (spec: unknown, why: string) =>
    test.match(accessReview(spec, seen), {
      status: 422,
      body: {
        reason: 'Invalid',
        message: `SubjectAccessReview.authorization.k8s.io "" is invalid: ${why}`,
      },
    })
  const nobody = 'spec.user: Invalid value: "": at least one of user or group must be specified'
  invalid({ resourceAttributes }, nobody)
  invalid({ user: '', groups: [], resourceAttributes }, nobody)
  invalid(
    { user: 'alice' },
    'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
  )
  invalid(
    { user: 'alice', resourceAttributes, nonResourceAttributes: { path: '/x', verb: 'get' } },
    'spec.nonResourceAttributes: Invalid value: cannot be specified in combination with resourceAttributes',
  )
  invalid({ groups: 'pullers', resourceAttributes }, 'spec.groups: Invalid value: must be a list')
  test.match(accessReview(null, seen), { status: 400 })
  test.same(seen, [])
})

await t.test('SubjectAccessReview: paths', async (test) => {
  const seen: SubjectAccessReviewSpec[] = []
  const status = (nonResourceAttributes: object) =>
    (accessReview({ user: 'alice', nonResourceAttributes }, seen).body as { status: object }).status
  test.same(status({ verb: 'get', path: '/mirrors' }), { allowed: false })
  test.same(status({ verb: 'get' }), { allowed: false })
  test.equal(seen.length, 2)
})

await t.test('scopes only take away', async (test) => {
  const status = (scopes: string[], user = 'alice') => {
    const extra = { 'scopes.authorization.openshift.io': scopes }
    return (accessReview({ user, extra, resourceAttributes }).body as { status: object }).status
  }
  test.same(status(['user:full']), allowedStatus)
  test.same(status(['user:info', 'user:full']), allowedStatus)
  test.same(status([]), allowedStatus, 'no scopes are no restriction')
  test.same(status(['user:full'], 'mallory'), { allowed: false })
  const denied = {
    allowed: false,
    denied: true,
    reason: 'scopes [user:info user:check-access] prevent this action',
  }
  test.same(status(['user:info', 'user:check-access']), denied)
  test.match(
    authorize(
      rbac,
      {
        username: 'root',
        groups: ['system:masters'],
        extra: { 'scopes.authorization.openshift.io': ['user:info'] },
      },
      resourceAttributes,
    ),
    { allowed: false, denied: true },
    'even from the masters',
  )
})
