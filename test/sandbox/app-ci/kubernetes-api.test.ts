import { once } from 'node:events'
import { connect } from 'node:net'
import { AuthenticationV1Api, AuthorizationV1Api, KubeConfig } from '@kubernetes/client-node'
import type { Test } from 'tap'
import t from 'tap'
import type { KubernetesApiOptions } from '../../../src/sandbox/app-ci/kubernetes-api.ts'
import { startKubernetesApi } from '../../../src/sandbox/app-ci/kubernetes-api.ts'
import { projectManifests as objects } from './project-manifests.ts'

const tokenReviews = '/apis/authentication.k8s.io/v1/tokenreviews'
const accessReviews = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
const resourceAttributes = {
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
  namespace: 'ocp',
}

const started = async (test: Test, options: Partial<KubernetesApiOptions> = {}) => {
  const api = await startKubernetesApi({ objects, ...options })
  test.teardown(() => api.close())
  const proxyToken = /token: (\S+)/.exec(api.kubeconfig())![1]!
  const post = (path: string, review: object | string, authorization = `Bearer ${proxyToken}`) =>
    fetch(`${api.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(authorization === '' ? {} : { authorization }) },
      body: typeof review === 'string' ? review : JSON.stringify(review),
    })
  const reviewToken = (token: string, authorization?: string) =>
    post(
      tokenReviews,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
      authorization,
    )
  const reviewAccess = (spec: object, authorization?: string) =>
    post(
      accessReviews,
      { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec },
      authorization,
    )
  return { api, post, reviewToken, reviewAccess }
}

await t.test('the client that the proxy uses, by the kubeconfig', async (test) => {
  const { api } = await started(test)
  const config = new KubeConfig()
  config.loadFromString(api.kubeconfig())
  const token = api.issueUserToken({ username: 'alice', uid: 'u-1', groups: ['qci-image-pullers'] })
  const reviewed = await config
    .makeApiClient(AuthenticationV1Api)
    .createTokenReview({ body: { spec: { token } } })
  const user = reviewed.status!.user!
  test.match(user, { username: 'alice', uid: 'u-1' })

  const ask = async (namespace: string) => {
    const { username, uid, groups, extra } = user
    const spec = {
      user: username!,
      uid: uid!,
      groups: groups!,
      extra: extra!,
      resourceAttributes: { ...resourceAttributes, namespace },
    }
    return config.makeApiClient(AuthorizationV1Api).createSubjectAccessReview({ body: { spec } })
  }
  test.equal((await ask('ocp')).status!.allowed, true)
  test.equal((await ask('other')).status!.allowed, false)
  test.same(api.requests, { tokenReviews: 1, subjectAccessReviews: 2 })
  test.match(api.reviews, [
    { user: 'alice', uid: 'u-1', extra: { 'scopes.authorization.openshift.io': ['user:full'] } },
    { resourceAttributes: { namespace: 'other' } },
  ])
})

await t.test('the proxy has to say who it is', async (test) => {
  const { api, reviewToken, reviewAccess } = await started(test)
  const expired = api.issueServiceAccountToken({ namespace: 'ci', name: 'quay-proxy', expiresInSeconds: 0 })
  for (const authorization of ['', 'Basic eDp5', 'Bearer nonsense', `Bearer ${expired}`]) {
    for (const response of [await reviewToken('x', authorization), await reviewAccess({}, authorization)]) {
      test.equal(response.status, 401)
      test.equal(response.headers.get('content-type'), 'application/json')
      test.match(await response.json(), { kind: 'Status', reason: 'Unauthorized', code: 401 })
    }
  }
})

await t.test('the proxy has to be allowed to ask, and the manifests allow it', async (test) => {
  const { api, reviewToken, reviewAccess } = await started(test)
  const spec = { user: 'alice', resourceAttributes }
  test.equal((await reviewToken('x')).status, 201)
  test.equal((await reviewAccess(spec)).status, 201)

  const alice = api.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const response = await reviewToken('x', `Bearer ${alice}`)
  test.equal(response.status, 403)
  test.match(await response.json(), {
    reason: 'Forbidden',
    message:
      'tokenreviews.authentication.k8s.io is forbidden: User "alice" cannot create resource "tokenreviews" in API group "authentication.k8s.io" at the cluster scope',
  })

  api.replaceObjects(objects.filter(({ metadata }) => metadata?.name !== 'system:auth-delegator'))
  test.equal((await reviewToken('x')).status, 403)
  test.match(await (await reviewAccess(spec)).json(), {
    message:
      / at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "system:auth-delegator" not found$/,
  })
})

await t.test('the access by RBAC is reported without a review', async (test) => {
  const { api } = await started(test)
  const alice = api.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const places = [{ namespace: 'ocp' }, { namespace: 'my-team', name: 'app' }]
  test.strictSame(api.mayPull(alice, places), [true, false])
  const account = api.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' })
  test.strictSame(api.mayPull(account, places), [false, true])
  test.strictSame(api.mayPull('nobody', places), [false, false])
  const scoped = { username: 'alice', groups: ['qci-image-pullers'], scopes: ['user:info'] }
  test.strictSame(api.mayPull(api.issueUserToken(scoped), places), [false, false])
  test.strictSame(api.requests, { tokenReviews: 0, subjectAccessReviews: 0 })
  test.strictSame(api.reviews, [])
  test.strictSame(api.skipped, [])
  api.replaceObjects([{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role' }])
  test.strictSame(api.skipped, ['Role "": it has no metadata.namespace'])
})

await t.test('another account for the proxy', async (test) => {
  const { reviewToken } = await started(test, { proxyServiceAccount: { namespace: 'ci', name: 'other' } })
  test.equal((await reviewToken('x')).status, 403)
})

await t.test('tokens end, by the clock and by hand', async (test) => {
  let now = Date.now()
  const { api, reviewToken } = await started(test, { now: () => now })
  const account = { namespace: 'my-team', name: 'image-puller', expiresInSeconds: 60 }
  const user = { username: 'alice', groups: [], expiresInSeconds: 60 }
  const status = async (token: string) =>
    ((await (await reviewToken(token)).json()) as { status: object }).status as Record<string, unknown>

  const revoked = api.issueUserToken(user)
  test.match(await status(revoked), { authenticated: true })
  api.revoke(revoked)
  test.match(await status(revoked), { authenticated: false })
  const tokens = [api.issueServiceAccountToken(account), api.issueUserToken(user)]
  for (const token of tokens) test.match(await status(token), { authenticated: true })
  now += 60_000
  for (const token of tokens)
    test.match(await status(token), { authenticated: false, error: /^.invalid bearer token, / })
})

await t.test('other paths', async (test) => {
  const { api, post } = await started(test)
  const version = await fetch(`${api.url}/version`)
  test.match(await version.json(), { major: '1', gitVersion: /^v1\./ })
  const ready = await fetch(`${api.url}/readyz?verbose`)
  test.equal(ready.headers.get('content-type'), 'text/plain; charset=utf-8')
  test.equal(await ready.text(), 'ok')
  for (const path of ['/', tokenReviews, '/api/v1/secrets']) {
    const response = await fetch(`${api.url}${path}`)
    test.equal(response.status, 404)
    test.match(await response.json(), { kind: 'Status', reason: 'NotFound', code: 404 })
  }
  test.equal((await post('/version', {})).status, 404)
  test.equal((await post(tokenReviews, '{')).status, 400)
  test.equal((await post(tokenReviews, 'x'.repeat(3 * 1024 * 1024 + 1))).status, 413)
})

await t.test('faults', async (test) => {
  const { api, reviewToken } = await started(test)
  api.fault({ kind: 'status', status: 429, retryAfterSeconds: 3 })
  const throttled = await reviewToken('x')
  test.equal(throttled.status, 429)
  test.equal(throttled.headers.get('retry-after'), '3')
  test.match(await throttled.json(), { kind: 'Status', reason: 'TooManyRequests' })

  api.fault({ kind: 'status' })
  const unavailable = await reviewToken('x')
  test.equal(unavailable.status, 503)
  test.equal(unavailable.headers.get('retry-after'), null)
  api.fault({ kind: 'status', status: 418 })
  test.match(await (await reviewToken('x')).json(), { reason: 'Unknown', code: 418 })

  api.fault({ kind: 'slow', delayMs: 100 })
  // As long, from before: the delay is of the same clock, and cannot be over first.
  let isOver = false
  setTimeout(() => (isOver = true), 100)
  test.equal((await reviewToken('x')).status, 201)
  test.ok(isOver)

  api.fault({ kind: 'reset' })
  await test.rejects(reviewToken('x'), { cause: { code: 'ECONNRESET' } })
  api.fault({ kind: 'hang' })
  await test.rejects(fetch(`${api.url}/readyz`, { signal: AbortSignal.timeout(30) }), {
    name: 'TimeoutError',
  })

  api.fault({ kind: 'none' })
  test.equal((await reviewToken('x')).status, 201)
  test.equal(api.requests.tokenReviews, 6)
})

await t.test('a client that hangs up in the middle of a body does no harm', async (test) => {
  const { api, reviewToken } = await started(test)
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
  socket.write(`POST ${tokenReviews} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`)
  await once(socket, 'connect')
  while (api.requests.tokenReviews === 0) await new Promise(setImmediate)
  socket.resetAndDestroy()
  test.equal((await reviewToken('x')).status, 201)
})

await t.test('closing does not wait for whoever hangs', async (test) => {
  const api = await startKubernetesApi({ objects, host: '::1' })
  test.match(api.url, /^http:\/\/\[::1\]:\d+$/)
  api.fault({ kind: 'hang' })
  const asked = fetch(`${api.url}/readyz`)
  await Promise.all([
    test.rejects(asked),
    (async () => {
      await new Promise((resolve) => {
        setTimeout(resolve, 20)
      })
      await api.close()
    })(),
  ])
})

await t.test('ImageStreams are behind the same door: a caller, its rights, and faults', async (test) => {
  const { api } = await started(test)
  const proxyToken = /token: (\S+)/.exec(api.kubeconfig())![1]!
  const list = async () =>
    await fetch(`${api.url}/apis/image.openshift.io/v1/imagestreams`, {
      headers: { authorization: `Bearer ${proxyToken}` },
    })
  api.imageStreams.put({ namespace: 'ocp', name: '4.15', tags: {} })
  const nobody = api.issueUserToken({ username: 'nobody', groups: [] })
  const refused = async (path: string) => {
    const headers = { authorization: `Bearer ${nobody}` }
    return await (await fetch(`${api.url}/apis/image.openshift.io/v1/${path}`, { headers })).json()
  }
  test.match(await refused('imagestreams'), { code: 403, message: /at the cluster scope/ })
  test.match(await refused('namespaces/ocp/imagestreams'), { code: 403, message: /in the namespace "ocp"/ })
  test.match(await (await list()).json(), {
    kind: 'ImageStreamList',
    items: [{ metadata: { name: '4.15' } }],
  })
  api.fault({ kind: 'status' })
  test.equal((await list()).status, 503)
  api.fault({ kind: 'none' })
  api.replaceObjects([])
  test.equal((await list()).status, 403)
})
