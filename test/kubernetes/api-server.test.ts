import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import type { Test } from 'tap'
import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import { createApiServer } from '../../src/kubernetes/api-server.ts'
import { loadKubeConfig } from '../../src/kubernetes/kubeconfig.ts'
import { startKubernetesApi, type KubernetesApiOptions } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { projectManifests as objects } from '../sandbox/app-ci/project-manifests.ts'
import { createAccessReviewer } from '../../src/kubernetes/subject-access-review.ts'
import { createTokenReviewer } from '../../src/kubernetes/token-review.ts'
import { foreignAnswers, kinds, review, startForeign, type Kind } from './answers.ts'
import { kubeConfigOf } from './kubeconfig-of.ts'

const accessSpec = {
  user: 'alice',
  groups: ['qci-image-pullers'],
  resourceAttributes: {
    verb: 'get',
    group: 'image.openshift.io',
    resource: 'imagestreams',
    subresource: 'layers',
    namespace: 'ocp',
  },
}

/** Stands before a server: counts connections, and cuts the next ones on request. */
const startCounter = async (test: Test, port: number) => {
  const sockets = new Set<Socket>()
  const counter = { connections: 0, cutNext: 0 }
  const server = createServer((client) => {
    counter.connections++
    sockets.add(client)
    client.on('close', () => sockets.delete(client)).on('error', () => undefined)
    if (counter.cutNext > 0) {
      counter.cutNext--
      client.once('data', () => client.resetAndDestroy())
      return
    }
    const upstream = connect(port, '127.0.0.1').on('error', () => client.destroy())
    client.on('close', () => upstream.destroy())
    client.pipe(upstream).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { counter, open: () => sockets.size, port: (server.address() as AddressInfo).port, sockets }
}

const setUp = async (test: Test, options: Partial<KubernetesApiOptions> & { timeoutMs?: number } = {}) => {
  const { timeoutMs = 5000, ...apiOptions } = options
  const api = await startKubernetesApi({ objects, ...apiOptions })
  test.teardown(() => api.close())
  const between = await startCounter(test, Number(new URL(api.url).port))
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(api.kubeconfig().replace(api.url, `http://127.0.0.1:${between.port}`))
  const apiServer = createApiServer({ kubeConfig, timeoutMs })
  test.teardown(() => apiServer.close())
  return { api, apiServer, ...between }
}

/** undici gives a connection back a turn after the answer; a question before that opens another. */
const connectionIsFree = async () => {
  await sleep(5)
}

/** The RegistryError that a question ends with. */
const failureOf = async (question: Promise<unknown>): Promise<RegistryError> => {
  const error = await question.then(
    () => new Error('an answer'),
    (reason: unknown) => reason,
  )
  if (error instanceof RegistryError) return error
  throw error
}

const outage = { code: 'UNAVAILABLE', status: 503, headers: { 'retry-after': '5' } }

await t.test('both kinds of reviews use one connection', async (test) => {
  const { api, apiServer, counter } = await setUp(test)
  test.equal(apiServer.reached(), false)
  const token = api.issueUserToken({ username: 'alice', uid: 'u-1', groups: ['qci-image-pullers'] })
  test.match(await apiServer.reviewToken({ token }), {
    authenticated: true,
    user: { username: 'alice', uid: 'u-1', extra: { 'scopes.authorization.openshift.io': ['user:full'] } },
  })
  test.equal(apiServer.reached(), true)
  await connectionIsFree()
  test.match(await apiServer.reviewAccess(accessSpec), { allowed: true })
  await connectionIsFree()
  test.match(await apiServer.reviewAccess({ ...accessSpec, groups: [] }), { allowed: false })
  for (let count = 0; count < 8; count++) {
    await connectionIsFree()
    await apiServer.reviewToken({ token })
  }
  test.equal(counter.connections, 1)
  test.same(api.requests, { tokenReviews: 9, subjectAccessReviews: 2 })
  test.strictSame(api.reviews[0], accessSpec, 'verbatim')
})

await t.test('a refused token is an answer of the API server, and is not retried', async (test) => {
  const { api, apiServer } = await setUp(test)
  test.match(await apiServer.reviewToken({ token: 'nonsense' }), { authenticated: false, error: /invalid/ })
  test.equal(apiServer.reached(), true)
  test.equal(api.requests.tokenReviews, 1)
})

await t.test('closing closes the connection, and does nothing before the first one', async (test) => {
  const { apiServer, sockets } = await setUp(test)
  await apiServer.reviewToken({ token: 'x' })
  const [socket] = sockets
  await Promise.all([socket === undefined ? undefined : once(socket, 'close'), apiServer.close()])
  test.equal(sockets.size, 0)
  await test.resolves((await setUp(test)).apiServer.close())
})

await t.test('a pool is used for ten minutes, so that a renewed certificate takes effect', async (test) => {
  const { apiServer, counter, sockets } = await setUp(test)
  const now = performance.now.bind(performance)
  let jumped = 0
  test.intercept(performance, 'now', { value: () => now() + jumped })
  await apiServer.reviewToken({ token: 'x' })
  jumped += 590_000
  await connectionIsFree()
  await apiServer.reviewToken({ token: 'x' })
  test.equal(counter.connections, 1)
  const [old] = sockets
  const closed = old === undefined ? undefined : once(old, 'close')
  jumped += 10_000
  await apiServer.reviewToken({ token: 'x' })
  test.equal(counter.connections, 2)
  await closed
  test.equal(sockets.size, 1, 'the old one is not left open')
})

await t.test('a request whose connection was cut is retried once', async (test) => {
  const { api, apiServer, counter } = await setUp(test)
  counter.cutNext = 1
  test.match(await apiServer.reviewToken({ token: 'x' }), { authenticated: false })
  test.equal(counter.connections, 2)
  test.equal(api.requests.tokenReviews, 1)
  test.equal(apiServer.reached(), true)
})

await t.test('a request on a keep-alive connection that the server closed is retried once', async (test) => {
  const { apiServer, counter, sockets } = await setUp(test)
  await apiServer.reviewAccess(accessSpec)
  counter.cutNext = 1
  for (const socket of sockets) socket.destroy()
  test.match(await apiServer.reviewAccess(accessSpec), { allowed: true })
})

await t.test('a request that is cut twice fails: there is one retry', async (test) => {
  const { api, apiServer, counter } = await setUp(test)
  counter.cutNext = 2
  const error = await failureOf(apiServer.reviewAccess(accessSpec))
  test.match(error, { ...outage, message: 'does not answer; try again in a moment' })
  test.ok(error.cause instanceof Error)
  test.equal(counter.connections, 2)
  test.equal(api.requests.subjectAccessReviews, 0)
  test.equal(apiServer.reached(), false)
})

await t.test('trap 17: a 5xx is retried once, then the client gets 503 and never 401', async (test) => {
  const { api, apiServer } = await setUp(test)
  let asked = 0
  for (const status of [500, 502, 503, 504]) {
    api.fault({ kind: 'status', status, retryAfterSeconds: 1 })
    const error = await failureOf(apiServer.reviewToken({ token: 'hunter2' }))
    test.match(error, {
      ...outage,
      message: 'the cluster that decides about access cannot answer now; try again in a moment',
      cause: { message: `API server answered ${status}` },
    })
    test.equal(api.requests.tokenReviews, (asked += 2), String(status))
    test.notMatch(JSON.stringify([error.message, error.cause, error.stack]), /hunter2/)
  }
  test.equal(apiServer.reached(), false)
  api.fault({ kind: 'none' })
  test.match(await apiServer.reviewToken({ token: 'x' }), { authenticated: false })
  test.equal(apiServer.reached(), true)
  api.fault({ kind: 'status' })
  await failureOf(apiServer.reviewToken({ token: 'x' }))
  test.equal(apiServer.reached(), true, 'it was reached once')
})

await t.test('a lasting failure is not retried', async (test) => {
  const { api, apiServer } = await setUp(test)
  test.match(await failureOf(apiServer.reviewToken({ token: '' })), {
    ...outage,
    cause: { message: 'API server answered 400' },
  })
  test.equal(api.requests.tokenReviews, 1)
})

await t.test(
  'trap 19: a review of an API server that hangs ends at its deadline, without a retry',
  async (test) => {
    const { api, apiServer, counter } = await setUp(test, { timeoutMs: 80 })
    api.fault({ kind: 'hang' })
    for (const question of [apiServer.reviewToken({ token: 'x' }), apiServer.reviewAccess(accessSpec)])
      test.match(await failureOf(question), { ...outage, message: 'does not answer; try again in a moment' })
    test.same(api.requests, { tokenReviews: 1, subjectAccessReviews: 1 })
    test.equal(counter.connections, 2)
    test.equal(apiServer.reached(), false)
    const next = await failureOf(apiServer.reviewToken({ token: 'y' }))
    test.match(next, { ...outage, cause: { message: 'it did not answer a moment ago' } })
    test.equal(api.requests.tokenReviews, 1, 'and the next one does not wait for it again')
  },
)

await t.test('trap 19: the deadline includes the retry', async (test) => {
  const { api, apiServer } = await setUp(test, { timeoutMs: 60 })
  api.fault({ kind: 'status', status: 500 })
  test.match(await failureOf(apiServer.reviewToken({ token: 'x' })), outage)
  test.equal(api.requests.tokenReviews, 1, 'no time was left for another')
})

await t.test('a refused connection is 503', async (test) => {
  const { api, apiServer } = await setUp(test)
  await api.close()
  api.close = async () => undefined
  test.match(await failureOf(apiServer.reviewToken({ token: 'x' })), outage)
})

await t.test(
  "trap 17: a refusal of the proxy's own credential is 503 to the client, and is not retried",
  async (test) => {
    const refused = {
      ...outage,
      message:
        'the cluster that decides about access refuses the proxy itself; its administrators have to look',
    }
    const forbidden = await setUp(test, { proxyServiceAccount: { namespace: 'ci', name: 'other' } })
    test.match(await failureOf(forbidden.apiServer.reviewToken({ token: 'x' })), {
      ...refused,
      cause: {
        message:
          /^API server answered 403: "tokenreviews.authentication.k8s.io is forbidden: User .*"; apply manifests.rbac.quay-proxy.yaml/,
      },
    })
    test.equal(forbidden.api.requests.tokenReviews, 1)
    test.equal(forbidden.apiServer.reached(), false)

    const revoked = await setUp(test)
    const ownToken = /token: (\S+)/.exec(revoked.api.kubeconfig())?.[1] ?? ''
    revoked.api.revoke(ownToken)
    test.match(await failureOf(revoked.apiServer.reviewAccess(accessSpec)), {
      ...refused,
      cause: { message: /^API server answered 401: "Unauthorized"; apply manifests/ },
    })
    test.equal(revoked.api.requests.subjectAccessReviews, 1)
  },
)

await t.test('attack: another server at the address of the API server. TLS is verified', async (test) => {
  const { api, port } = await setUp(test)
  const file = join(
    test.testdir({ config: kubeConfigOf(port, { scheme: 'https', insecure: false }) }),
    'config',
  )
  const apiServer = createApiServer({ kubeConfig: loadKubeConfig(file) })
  test.teardown(() => apiServer.close())
  test.match(await failureOf(apiServer.reviewToken({ token: 'x' })), outage)
  test.equal(api.requests.tokenReviews, 0)
})

const setUpForeign = async (test: Test) => {
  const server = await startForeign(test)
  const file = join(test.testdir({ config: kubeConfigOf(server.port) }), 'config')
  const apiServer = createApiServer({ kubeConfig: loadKubeConfig(file) })
  test.teardown(() => apiServer.close())
  let now = 1_000_000
  const options = { graceMs: 300_000, observe: () => undefined, now: () => now }
  const reviewToken = createTokenReviewer({
    ...options,
    send: apiServer.reviewToken,
    admit: async () => () => undefined,
    audiences: [],
    identityTtlMs: 60_000,
  })
  const access = createAccessReviewer({
    ...options,
    send: apiServer.reviewAccess,
    allowTtlMs: 60_000,
    denyTtlMs: 10_000,
  })
  const identity = { kind: 'user', key: 'k', user: { username: 'a', groups: [], extra: {} } } as const
  const ask: Readonly<Record<Kind, () => Promise<boolean>>> = {
    TokenReview: async () => (await reviewToken('hunter2token', '10.0.0.1')).authenticated,
    SubjectAccessReview: async () => (await access.review(identity, { namespace: 'ocp' })).allowed,
  }
  return { server, apiServer, ask, pass: (ms: number) => void (now += ms) }
}

await t.test(
  'attack: another server answers. 503, nothing is cached, readiness stays false, and cached users have their grace',
  async (test) => {
    for (const kind of Object.keys(kinds) as Kind[]) {
      const { server, apiServer, ask, pass } = await setUpForeign(test)
      const answers = foreignAnswers(kind)
      for (const answer of answers) {
        server.answer = answer
        const before = server.asked
        const label = `${kind} ${answer.status} ${answer.body}`
        const error = await failureOf(ask[kind]())
        test.match(error, outage, label)
        test.notMatch(`${error.message} ${String(error.cause)}`, /hunter2/)
        test.equal(server.asked, before + 1, 'once')
        await failureOf(ask[kind]())
        test.equal(server.asked, before + 2, 'nothing is remembered')
      }
      test.equal(apiServer.reached(), false, 'the proxy is not ready by that')
      server.answer = { status: 201, body: review(kind, kinds[kind].status) }
      test.equal(await ask[kind](), true)
      test.equal(apiServer.reached(), true)
      pass(60_001)
      for (const answer of answers.slice(0, 20)) {
        server.answer = answer
        test.equal(await ask[kind](), true, 'what was known counts on in grace')
        pass(1001)
      }
    }
  },
)

await t.test('attack: no redirect of a review, with a token in its body, is followed', async (test) => {
  const elsewhere = await startForeign(test)
  for (const kind of Object.keys(kinds) as Kind[]) {
    elsewhere.answer = { status: 201, body: review(kind, kinds[kind].status) }
    const { server, apiServer, ask } = await setUpForeign(test)
    for (const status of [300, 301, 302, 303, 304, 307, 308, 399]) {
      const headers = { location: `http://127.0.0.1:${elsewhere.port}/` }
      // In the body too, what would be a yes.
      const body = status === 304 ? '' : review(kind, kinds[kind].status)
      server.answer = { status, body, headers }
      test.match(await failureOf(ask[kind]()), outage, String(status))
    }
    test.equal(apiServer.reached(), false)
  }
  test.equal(elsewhere.asked, 0)
})

await t.test('a 429 is shed load: it is not retried, and gets no grace', async (test) => {
  for (const kind of Object.keys(kinds) as Kind[]) {
    const { server, ask, pass } = await setUpForeign(test)
    server.answer = { status: 201, body: review(kind, kinds[kind].status) }
    await ask[kind]()
    pass(60_001)
    for (const [told, seconds] of [
      ['7', '7'],
      ['soon', '1'],
      [undefined, '1'],
    ] as const) {
      const headers = told === undefined ? {} : { 'retry-after': told }
      server.answer = { status: 429, body: '', headers }
      const before = server.asked
      test.match(await failureOf(ask[kind]()), { status: 503, headers: { 'retry-after': seconds } })
      test.equal(server.asked, before + 1)
    }
  }
})

await t.test(
  'trap 18: the user info of a TokenReview goes verbatim into the SubjectAccessReview, __proto__ too',
  async (test) => {
    const { server, apiServer } = await setUpForeign(test)
    const extra = '{"__proto__":["x"],"b":["y"]}'
    server.answer = {
      status: 201,
      body: `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"user":{"username":"a","extra":${extra}}}}`,
    }
    const answer = await apiServer.reviewToken({ token: 'x' })
    if (!answer.authenticated) throw new Error('it is not accepted')
    server.answer = { status: 201, body: review('SubjectAccessReview', { allowed: false }) }
    const access = createAccessReviewer({
      send: apiServer.reviewAccess,
      allowTtlMs: 1,
      denyTtlMs: 1,
      graceMs: 1,
      observe: () => undefined,
    })
    await access.review({ kind: 'user', key: 'k', user: answer.user }, { namespace: 'ocp' })
    test.match(server.bodies.at(-1), `"extra":${extra}`)
  },
)
