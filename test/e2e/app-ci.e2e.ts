/**
 * The proxy with a real API server: who may pull, how soon a revocation takes effect, and what happens while the API server is unavailable.
 * The test measures times, and prints them as rows of a table.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { seedQuay } from '../../src/sandbox/quay/content.ts'
import { pull, PullError, type Pulled } from '../../src/sandbox/pull.ts'
import { startQuay } from '../../src/sandbox/quay/quay.ts'
import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { missingApiServer, proxyAccount, startApiServer, type Account, type ApiServer } from './api-server.ts'
import { answers, freePort, startService, type Service } from './process.ts'
import { root, serviceAccount, serviceAccountUser } from './stack.ts'

const skip = missingApiServer()

const ttlMs = 2000
const shortGraceMs = 8000
// The API server caches an accepted token. It notices after this time that the object of the token was deleted.
const tokenCacheMs = 10_000
// TokenRequest issues no shorter token.
const shortestTokenSeconds = 600
// The life of a token that the test signs itself.
const shortLifeSeconds = 8
// No answer takes longer.
const promisedMs = 5000
// One review of each kind times out after 2 s. The other requests of the pull are refused at once.
const knownPullMs = 4000

type Proxy = { url: string; service: Service }

/** The proxy, and its own quay. */
const startProxy = async (t: Test, api: ApiServer, ...flags: string[]): Promise<Proxy> => {
  const directory = await mkdtemp(join(tmpdir(), 'qp-app-ci-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const robot = { username: 'openshift+ci_reader', password: randomBytes(32).toString('hex') }
  const quay = await startQuay({ robot })
  t.teardown(() => quay.close())
  await seedQuay(quay)
  const secrets = {
    'robot-username': robot.username,
    'robot-password': robot.password,
    'token-secret': randomBytes(32).toString('hex'),
    kubeconfig: await api.kubeconfig(),
  }
  for (const [name, secret] of Object.entries(secrets))
    await writeFile(join(directory, name), secret, { mode: 0o600 })
  const host = `127.0.0.1:${await freePort()}`
  const url = `http://${host}`
  const service = await startService(
    process.execPath,
    [
      join(root, 'bin/quay-proxy.js'),
      'serve',
      `--listen-addr=${host}`,
      `--exposed-url=${url}`,
      `--upstream=${quay.url}`,
      `--upstream-repository=${quay.repository}`,
      '--robot-username-file=robot-username',
      '--robot-password-file=robot-password',
      '--token-secret-file=token-secret',
      '--kubeconfig=kubeconfig',
      ...(flags.some((flag) => flag.startsWith('--identity-ttl=')) ? [] : [`--identity-ttl=${ttlMs}ms`]),
      `--allow-ttl=${ttlMs}ms`,
      '--deny-ttl=1s',
      '--grace-period=2s',
      ...flags,
    ],
    () => answers(`${url}/readyz`, 200),
    { cwd: directory },
  )
  t.teardown(service.stop)
  return { url, service }
}

/** The result: the pull, or the status of the refusal. */
const outcome = async (pulling: Promise<Pulled>): Promise<{ status: number; message: string }> => {
  try {
    await pulling
    return { status: 200, message: '' }
  } catch (error) {
    if (!(error instanceof PullError)) throw error
    return { status: error.status, message: error.message }
  }
}

const timed = async <Value>(work: Promise<Value>): Promise<[value: Value, ms: number]> => {
  const began = performance.now()
  const value = await work
  return [value, Math.round(performance.now() - began)]
}

/** The binding that lets a service account pull from its own namespace. */
const binding = (account: Account): KubernetesObject => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { ...account },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
  subjects: [{ kind: 'ServiceAccount', ...account }],
})
const accountObject = (account: Account): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { ...account },
})

await test('app.ci with a real API server', { skip }, async (suite) => {
  const api = await startApiServer([
    { username: 'alice', groups: ['qci-image-pullers'] },
    { username: 'mallory', groups: ['developers'] },
    // Has every right that alice has, but no proxy has reviewed it.
    { username: 'bob', groups: ['qci-image-pullers'] },
  ])
  suite.teardown(api.close)
  const alice = api.userToken('alice')
  const proxy = await startProxy(suite, api)
  const shown = new Set<string>()
  const rows: string[] = []
  suite.teardown(() => rows.forEach((line) => suite.comment(line)))

  /** `ocp/4.5:base` with a token. */
  const pullAs = (token: string, image: string, registry = proxy.url) => {
    shown.add(token)
    const [repository = '', reference = ''] = image.split(':')
    return outcome(pull({ registry, repository, reference, username: 'user', password: token }))
  }
  const row = (what: string, ms: number, limit: string) =>
    rows.push(`| ${what.padEnd(64)} | ${String(ms).padStart(6)} ms | ${limit.padEnd(12)} |`)
  const bounded = (t: Test, what: string, ms: number, limitMs: number) => {
    row(what, ms, `<= ${limitMs} ms`)
    t.ok(ms <= limitMs, `${what}: ${ms} ms`)
  }
  /** Pulls until the result differs from `status`. @returns the number of pulls, and milliseconds since `began` */
  const pullWhile = async (
    status: number,
    pulling: () => ReturnType<typeof pullAs>,
    maxWaitMs: number,
    began: number,
  ) => {
    for (let pulls = 0; ; pulls++) {
      const end = await pulling()
      const ms = Math.round(performance.now() - began)
      if (end.status !== status || ms > maxWaitMs) return { ...end, ms, pulls }
      await sleep(20)
    }
  }
  /** A service account of my-team that may pull from my-team, and its token. */
  const newPuller = async (name: string, createToken: (of: Account) => Promise<string> = api.createToken) => {
    const account = { namespace: 'my-team', name }
    await api.apply(accountObject(account))
    await api.apply(binding(account))
    const token = await createToken(account)
    const pulling = () => pullAs(token, 'my-team/app:latest')
    // The API server learns of a binding by a watch, a moment later.
    const { status } = await pullWhile(403, pulling, 5000, performance.now())
    if (status !== 200) throw new Error(`${name} cannot pull: ${status}`)
    return { account, pulling }
  }

  const ofOnePlatform = 'openshift/ci:latest'
  /** While the API server does not answer: alice is cached, bob is not. */
  const outage = async (t: Test, what: string, registry: string) => {
    const [stranger, waited] = await timed(pullAs(api.userToken('bob'), ofOnePlatform, registry))
    t.equal(stranger.status, 503)
    bounded(t, `API server ${what}: 503 for an unknown identity`, waited, promisedMs)
    // Longer than the reviews of alice are cached.
    await sleep(Math.max(0, ttlMs + 100 - waited))
    for (const round of [1, 2]) {
      const [known, ms] = await timed(pullAs(alice, ofOnePlatform, registry))
      t.match(known, { status: 200 }, `round ${round}`)
      bounded(t, `API server ${what}: a whole pull of a known identity`, ms, knownPullMs)
      await sleep(1100)
    }
  }

  await suite.test('a group of the role qci-image-puller pulls what is public', async (t) => {
    for (const image of [
      'openshift/ci:ocp_4.5_base',
      'ocp/4.5:base',
      'my-team/app:latest',
      'openshift/ci:latest',
    ])
      t.match(await pullAs(alice, image), { status: 200 }, image)
    const refused = await pullAs(alice, 'ocp-priv/4.5:embargoed')
    t.match(refused, { status: 403, message: /DENIED: alice may not pull from namespace ocp-priv/ })
  })

  await suite.test('a service account pulls from the namespace that binds it', async (t) => {
    const token = await api.createToken(serviceAccount)
    for (const image of ['my-team/app:latest', 'openshift/ci:my-team_app_latest'])
      t.match(await pullAs(token, image), { status: 200 }, image)
    for (const image of ['ocp/4.5:base', 'ocp-priv/4.5:embargoed', 'openshift/ci:latest']) {
      const { status, message } = await pullAs(token, image)
      t.equal(status, 403, image)
      t.match(message, `DENIED: ${serviceAccountUser} may not pull`)
    }
  })

  await suite.test('a login alone opens nothing', async (t) => {
    for (const image of ['ocp/4.5:base', 'my-team/app:latest', 'openshift/ci:latest']) {
      const refused = await pullAs(api.userToken('mallory'), image)
      t.match(refused, { status: 403, message: /DENIED: mallory/ }, image)
    }
    t.match(await pullAs('a-token-of-nobody', 'ocp/4.5:base'), { status: 401, message: /UNAUTHORIZED/ })
  })

  await suite.test("the proxy's own service account may not pull", async (t) => {
    const token = await api.createToken(proxyAccount)
    for (const image of ['ocp/4.5:base', 'my-team/app:latest'])
      t.match(await pullAs(token, image), { status: 403 }, image)
  })

  await suite.test('a token near its expiry is announced to end a little sooner', async (t) => {
    const token = await api.createToken(serviceAccount, shortestTokenSeconds)
    t.match(await pullAs(token, 'my-team/app:latest'), { status: 200 })
    const authorization = `Basic ${Buffer.from(`user:${token}`).toString('base64')}`
    const response = await fetch(`${proxy.url}/v2/auth`, { headers: { authorization } })
    const { expires_in: expiresIn } = (await response.json()) as { expires_in: number }
    t.ok(expiresIn > shortestTokenSeconds - 60 && expiresIn < shortestTokenSeconds, `${expiresIn} s`)
  })

  await suite.test('a token for another audience is refused', async (t) => {
    const token = await api.createToken(serviceAccount, shortestTokenSeconds, ['vault'])
    t.match(await pullAs(token, 'my-team/app:latest'), { status: 401, message: /UNAUTHORIZED/ })
  })

  await suite.test('a removed binding takes effect when the cached yes expires', async (t) => {
    const limitMs = ttlMs + 1000
    for (const round of [1, 2, 3]) {
      const { account, pulling } = await newPuller('revoked')
      const began = performance.now()
      await api.remove(binding(account))
      const end = await pullWhile(200, pulling, limitMs + 1000, began)
      t.equal(end.status, 403, `round ${round}`)
      bounded(t, `RoleBinding deleted: first refusal, after ${end.pulls} pulls`, end.ms, limitMs)
    }
  })

  await suite.test(
    'a deleted service account takes effect when both caches of its token expire',
    async (t) => {
      const limitMs = ttlMs + tokenCacheMs + 1000
      const { account, pulling } = await newPuller('deleted')
      const began = performance.now()
      await api.remove(accountObject(account))
      const end = await pullWhile(200, pulling, limitMs + 1000, began)
      t.equal(end.status, 401)
      bounded(t, `ServiceAccount deleted: first refusal, after ${end.pulls} pulls`, end.ms, limitMs)
    },
  )

  await suite.test('a token ends with the Secret that it is bound to', async (t) => {
    const limitMs = ttlMs + tokenCacheMs + 1000
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'my-team', name: 'bound' } }
    await api.apply(secret)
    const { pulling } = await newPuller('bound', (account) => api.createTokenBoundTo(secret, account))
    const began = performance.now()
    await api.remove(secret)
    const end = await pullWhile(200, pulling, limitMs + 1000, began)
    t.match(end, { status: 401, message: /UNAUTHORIZED/ })
    bounded(t, `Secret of a bound token deleted: first refusal, after ${end.pulls} pulls`, end.ms, limitMs)
  })

  await suite.test('a token ends at its expiry, also if its identity is cached for longer', async (t) => {
    const limitMs = 1000
    const { url } = await startProxy(t, api, '--identity-ttl=60s')
    const { account } = await newPuller('expired')
    const expiresAt = Math.floor(Date.now() / 1000) + shortLifeSeconds
    const token = await api.signToken(account, expiresAt)
    const expiry = performance.now() + expiresAt * 1000 - Date.now()
    const pulling = () => pullAs(token, 'my-team/app:latest', url)
    const end = await pullWhile(200, pulling, limitMs + 1000, expiry)
    t.match(end, { status: 401, message: /UNAUTHORIZED/ })
    t.not(end.pulls, 0)
    t.ok(end.ms >= 0, 'and not before')
    bounded(t, `token expired: first refusal after its exp, after ${end.pulls} pulls`, end.ms, limitMs)
  })

  await suite.test('a frozen API server is not needed for known identities', async (t) => {
    const { url } = await startProxy(t, api)
    t.match(await pullAs(alice, ofOnePlatform, url), { status: 200 })
    await api.freeze()
    try {
      await outage(t, 'frozen', url)
    } finally {
      api.thaw()
    }
    const limitMs = 2000
    const pulling = () => pullAs(api.userToken('bob'), ofOnePlatform, url)
    const end = await pullWhile(503, pulling, limitMs + 1000, performance.now())
    t.match(end, { status: 200 })
    bounded(t, 'API server thawed: first pull of the unknown identity', end.ms, limitMs)
  })

  await suite.test('a stopped API server is not needed until the grace is over', async (t) => {
    const { url } = await startProxy(t, api, `--authorization-grace=${shortGraceMs}ms`)
    const began = performance.now()
    t.match(await pullAs(alice, ofOnePlatform, url), { status: 200 })
    await api.stop()
    await outage(t, 'gone', url)
    const limitMs = shortGraceMs + 1000
    const end = await pullWhile(200, () => pullAs(alice, ofOnePlatform, url), limitMs + 1000, began)
    t.match(end, { status: 503 })
    bounded(t, 'API server gone: first 503 of a known identity', end.ms, limitMs)
    t.ok(end.ms >= shortGraceMs, 'and not before')
  })

  await suite.test('the proxy ends cleanly, and its log has no token', async (t) => {
    t.equal(await proxy.service.stop(), 0)
    const log = proxy.service.output()
    t.match(log, 'alice')
    for (const token of shown) t.notOk(log.includes(token), 'a token')
  })
})
