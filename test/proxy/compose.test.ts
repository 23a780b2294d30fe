import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parseConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { compose } from '../../src/proxy/compose.ts'
import { createPurposeKeys } from '../../src/registry/authentication/signing-keys.ts'
import { createTagCursors } from '../../src/registry/tags/tag-cursors.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import { startFakeRedis } from '../shared-state/fake-redis.ts'
import { startKubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { anonymousIdentity } from '../../src/registry/authentication/anonymous.ts'
import { alice, challenge } from '../registry/fakes.ts'
import { projectManifests } from '../sandbox/app-ci/project-manifests.ts'
import { quayFor, robot, smallImage } from '../sandbox/quay/quay-client.ts'
import { selfSigned } from '../support/tls.ts'
import { recordTraces } from '../support/tracing.ts'
import type { Tracing } from '../../src/tracing/tracing.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const create = async (test: Test, flags: readonly string[] = [], tracing?: Tracing) => {
  const kubernetes = await startKubernetesApi({ objects: projectManifests })
  test.teardown(() => kubernetes.close())
  const quay = await quayFor(test)
  const { cert, key } = selfSigned()
  const folder = test.testdir({
    username: robot.username,
    password: robot.password,
    secret: '5e1d8a07c3f94b62a0d71e3c9b58f640',
    kubeconfig: kubernetes.kubeconfig(),
    cert: String(cert),
    key: String(key),
  })
  for (const file of readdirSync(folder)) chmodSync(join(folder, file), 0o600)
  const args = [
    `--robot-username-file=${folder}/username`,
    `--robot-password-file=${folder}/password`,
    `--token-secret-file=${folder}/secret`,
    `--kubeconfig=${folder}/kubeconfig`,
    `--upstream=${quay.url}`,
    ...(flags.some((flag) => flag.startsWith('--restricted-index')) ? [] : ['--restricted-index=off']),
    ...flags.map((flag) => flag.replace('FOLDER', folder)),
  ]
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) })
  const state = { stopping: false }
  const components = compose(parseConfig(args, {}), logger, () => state.stopping, tracing)
  test.teardown(components.close)
  return { components, server: components.server, kubernetes, quay, folder, lines, state }
}

await t.test('a composed proxy: a token, a decision, a manifest, and their metrics', async (test) => {
  const { server, kubernetes, quay } = await create(test)
  test.equal(server.telemetry.traces, undefined)
  const image = await smallImage()
  quay.tag('ocp_4.5_base', image)
  const token = kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const { identity } = await server.login.authenticate({ kind: 'bearer', token }, '10.0.0.1')
  await server.login.authenticate({ kind: 'bearer', token }, '10.0.0.1')
  const decision = await server.access.policy.decideImageStream(identity, { namespace: 'ocp' })
  server.telemetry.observe(decision, identity)
  server.telemetry.observe({ ...decision, allowed: false, rule: 'none' }, identity)
  server.telemetry.observeStreams(1)
  server.telemetry.observeShed('stalled')
  const { signal } = new AbortController()
  const manifest = await server.source.fetchManifest({
    method: 'GET',
    reference: 'ocp_4.5_base' as never,
    accept: undefined,
    requester: 'alice',
    signal,
  })
  test.equal(manifest.digest, image.digest)
  const metrics = await server.telemetry.metrics.registry.metrics()
  for (const line of [
    'reviews_total{kind="TokenReview",outcome="authenticated"} 1',
    'review_cache_hits_total{cache="TokenReview",outcome="authenticated",source="cached"} 1',
    'decisions_total{rule="qci-wide",source="live",kind="user"} 1',
    'decisions_total{rule="denied",source="live",kind="user"} 1',
    'streams_in_flight 1',
    'upstream_requests_total{kind="manifest",status="200"} 1',
  ])
    test.ok(metrics.includes(`quay_proxy_${line}`), line)
})

await t.test('not ready, with the reasons', async (test) => {
  const { components, server, state } = await create(test)
  test.strictSame(server.health.notReady(), [
    'upstream was not asked yet',
    'the API server was not reached yet',
  ])
  await components.robot.acquire()
  await components.apiServer.reviewAccess({
    user: 'a',
    resourceAttributes: { verb: 'get', resource: 'pods' },
  })
  test.strictSame(server.health.notReady(), [])
  state.stopping = true
  test.strictSame(server.health.notReady(), ['shutting down'])
  test.match(server.health.status(), [/^shared state: embedded for \d+ s, 1 replicas known$/])
})

await t.test('not ready until the facts of other replicas are loaded', async (test) => {
  const redis = await startFakeRedis()
  test.teardown(redis.close)
  const { components, server } = await create(test, [`--shared-state=${redis.url.href}`])
  await components.robot.acquire()
  await components.apiServer.reviewAccess({
    user: 'a',
    resourceAttributes: { verb: 'get', resource: 'pods' },
  })
  test.match(server.health.status(), [/^shared state: unavailable/], 'not started yet: it works alone')
  await components.shared.start()
  const seen = new Set<string>()
  while (components.shared.status().state !== 'connected' || server.health.notReady().length > 0) {
    for (const reason of server.health.notReady()) seen.add(reason)
    await new Promise((resolve) => setImmediate(resolve))
  }
  test.ok([...seen].every((reason) => reason === 'what other replicas know is not loaded yet'))
  test.match(server.health.status(), [/^shared state: connected for \d+ s, 1 replicas known$/])
})

await t.test('traces: reviews and the store that replicas share', async (test) => {
  const redis = await startFakeRedis()
  test.teardown(redis.close)
  const { tracing, within, names, named } = recordTraces()
  const { components, server, kubernetes } = await create(test, [`--shared-state=${redis.url.href}`], tracing)
  test.match(server.telemetry.traces, { tracing, serverAddress: 'quay-proxy.ci.openshift.org' })
  await components.shared.start()
  const token = kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  await within(async () => {
    const { identity } = await server.login.authenticate({ kind: 'bearer', token }, '10.0.0.1')
    const repository = parseRepository('ocp', '4.5', 'openshift/ci')
    await server.access.policy.decide(identity, parseReference(repository, 'base', ownerOf))
    await components.shared.facts.catchUp()
  })
  const review = ['SubjectAccessReview', 'SubjectAccessReview', 'POST', 'POST']
  const expected = [
    'authentication',
    'TokenReview',
    'POST',
    'authorization',
    ...review,
    'catch up with facts',
  ]
  test.strictSame(
    names()
      .filter((name) => !name.includes('grant'))
      .toSorted(),
    expected.toSorted(),
  )
  test.match(named('catch up with facts')?.attributes, {
    'db.system.name': 'redis',
    'server.address': '127.0.0.1',
  })
})

await t.test('not ready until restricted tags are followed, with the progress', async (test) => {
  const { components, server } = await create(test, ['--restricted-index=on'])
  await components.robot.acquire()
  await components.apiServer.reviewAccess({
    user: 'a',
    resourceAttributes: { verb: 'get', resource: 'pods' },
  })
  test.strictSame(server.health.notReady(), ['the index of restricted images is not complete yet'])
  test.match(server.health.status()[1], /^restricted index: not complete; phase idle, 0 pages/)
  components.digests.start()
  while (server.health.notReady().length > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  test.match(server.health.status()[1], /^restricted index: /)
})

await t.test('a robot that upstream refuses is logged as an error, without its password', async (test) => {
  const { components, server, quay, lines } = await create(test)
  quay.setRobot({ ...robot, password: 'another' })
  await test.rejects(components.robot.acquire(), { code: 'UNAVAILABLE' })
  test.match(lines, [{ level: 'error', msg: 'upstream rejected the robot credential' }])
  test.match(await server.telemetry.metrics.registry.metrics(), 'quay_proxy_robot_refused_total 1')
  test.notMatch(JSON.stringify(lines), robot.password)
})

await t.test('changed files are used; those that cannot be used are logged and counted', async (test) => {
  const { components, server, folder, lines } = await create(test, [
    '--tls-cert-file=FOLDER/cert',
    '--tls-key-file=FOLDER/key',
  ])
  test.match(server.connections.tls, { cert: /BEGIN CERTIFICATE/, key: /BEGIN PRIVATE KEY/ })
  writeFileSync(join(folder, 'password'), 'the-next')
  test.equal(components.files.robot.reload(), true)
  test.match(lines.at(-1), { level: 'info', file: 'robot', msg: 'reloaded' })
  writeFileSync(join(folder, 'secret'), '')
  test.equal(components.files.tokenSecret.reload(), false)
  test.match(lines.at(-1), { level: 'error', file: 'token secret', err: { message: /is empty/ } })
  writeFileSync(join(folder, 'key'), 'hunter2')
  test.equal(components.files.tls?.reload(), false)
  test.match(lines.at(-1), { level: 'error', file: 'tls' })
  test.notMatch(JSON.stringify(lines), /hunter2|PRIVATE/)
  const metrics = await server.telemetry.metrics.registry.metrics()
  test.match(metrics, /reload_failures_total\{file="token secret"\} 1/)
  test.match(metrics, /reload_failures_total\{file="tls"\} 1/)
})

await t.test('cautions about a file are logged again when it is reloaded', async (test) => {
  for (const strict of [false, true]) {
    const { components, folder, lines } = await create(test, strict ? ['--require-strong-secrets'] : [])
    const [secret, password] = [join(folder, 'secret'), join(folder, 'password')]
    const before = components.files.tokenSecret.current()
    writeFileSync(secret, 'hunter2'.repeat(6))
    chmodSync(secret, 0o604)
    test.equal(components.files.tokenSecret.reload(), !strict)
    test.equal(components.files.tokenSecret.current() === before, strict)
    const weak = /line 1 of the token secret repeats itself.* openssl rand -hex 32/
    if (strict)
      test.match(lines, [{ level: 'error', msg: /keeping the previous content/, err: { message: weak } }])
    else
      test.match(lines, [
        { level: 'info', msg: 'reloaded' },
        { level: 'warn', file: 'token secret', msg: weak },
        { level: 'warn', file: 'token secret', msg: `chmod o-rwx ${secret}` },
      ])
    test.equal(lines.length, strict ? 1 : 3)
    chmodSync(password, 0o602)
    writeFileSync(password, 'hunter 2')
    test.equal(components.files.robot.reload(), true)
    test.match(lines.slice(-3), [
      { level: 'info', msg: 'reloaded' },
      { level: 'warn', file: 'robot', msg: 'the password of robot 1 has white space' },
      { level: 'warn', file: 'robot', msg: `chmod o-rwx ${password}` },
    ])
    test.notMatch(JSON.stringify(lines), /hunter/)
  }
})

await t.test('each purpose has its own keys, and no key of a removed secret', async (test) => {
  const { server, components, folder } = await create(test, ['--allow-anonymous'])
  const scope = { repository: 'openshift/ci', requester: 'robot x' }
  const sealed = await server.access.cursors.seal({ after: 'ocp_4.5_base', emptyPages: 0 }, scope)
  const login = await server.login.robotTokens.mint(robot.username)
  const nothing = (await server.login.anonymous?.mint())?.token ?? ''
  const authenticated = async (token: string) =>
    await server.login.authenticate({ kind: 'bearer', token }, '10.0.0.1').then(
      ({ identity }) => identity.kind,
      ({ status }: { status: number }) => status,
    )
  const all = async () => [
    await server.access.cursors.open(sealed, scope).then(
      ({ after }) => after,
      ({ code }: { code: string }) => code,
    ),
    await authenticated(login.token),
    await authenticated(nothing),
  ]
  const secrets = components.files.tokenSecret.current()
  const keys = createPurposeKeys(() => secrets)
  test.match(await createTagCursors(keys.listCursors).open(sealed, scope), { after: 'ocp_4.5_base' })
  for (const other of [keys.robotLogins, keys.anonymousLogins, () => secrets])
    await test.rejects(createTagCursors(other).open(sealed, scope), { code: 'TAG_INVALID' })
  test.strictSame(await all(), ['ocp_4.5_base', 'robot', 'anonymous'])
  const old = '5e1d8a07c3f94b62a0d71e3c9b58f640'
  const next = '0b97f1c46a8e4d2f93ce5d7081ba264f'
  writeFileSync(join(folder, 'secret'), `${next}\n${old}\n`)
  components.files.tokenSecret.reload()
  test.strictSame(await all(), ['ocp_4.5_base', 'robot', 'anonymous'], 'a new line above the old one')
  writeFileSync(join(folder, 'secret'), next)
  components.files.tokenSecret.reload()
  test.strictSame(await all(), ['TAG_INVALID', 401, 401], 'the old line is gone')
})

await t.test(
  'a certificate authority for upstream, and the exposed origin in the challenge',
  async (test) => {
    const { server } = await create(test, ['--upstream-ca-file=FOLDER/cert', '--exposed-host=proxy.example'])
    test.strictSame(server.login.challenge.unauthorized('a').headers, challenge.unauthorized('a').headers)
    test.match(
      server.access.denied({ identity: alice, wanted: 'x', namespace: 'ocp' }).message,
      'namespace ocp',
    )
  },
)

await t.test('a request without a credential has an identity only if that is allowed', async (test) => {
  const nothing = await create(test)
  test.equal(nothing.server.login.anonymous, undefined)
  test.match(nothing.server.access.denied({ identity: anonymousIdentity, wanted: 'x', namespace: 'ocp' }), {
    status: 403,
  })
  const { server, kubernetes } = await create(test, ['--allow-anonymous'])
  test.match(server.access.denied({ identity: anonymousIdentity, wanted: 'x', namespace: 'ocp' }), {
    status: 401,
  })
  const { token = '' } = (await server.login.anonymous?.mint()) ?? {}
  const { identity } = await server.login.authenticate({ kind: 'bearer', token }, '10.0.0.1')
  test.match(await server.access.policy.decideImageStream(identity, { namespace: 'ocp' }), { allowed: false })
  test.match(kubernetes.reviews, [{ user: 'system:anonymous', groups: ['system:unauthenticated'] }])
  const metrics = await server.telemetry.metrics.registry.metrics()
  test.match(metrics, 'reviews_in_flight{queue="SubjectAccessReview of system:anonymous"} 0')
})

await t.test('floods: refused tokens of an address and reviews in flight are limited', async (test) => {
  const { server, kubernetes } = await create(test)
  const show = async (token: string, client: string) =>
    await server.login
      .authenticate({ kind: 'bearer', token }, client)
      .catch(({ code }: { code: string }) => code)
  const statuses = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => await show(`made-up-${index}`, '10.0.0.1')),
  )
  test.strictSame(new Set(statuses), new Set(['UNAUTHORIZED', 'TOOMANYREQUESTS']))
  test.ok(kubernetes.requests.tokenReviews <= 30 + 4, 'thirty, and one a second of those who wait')
  kubernetes.fault({ kind: 'slow', delayMs: 1500 })
  // 100 of these are admitted: 64 are in flight, and the others wait for too long.
  const many = Array.from(
    { length: 100 },
    async (_, index) => await show(`other-${index}`, `10.1.${index >> 8}.${index & 255}`),
  )
  const codes = await Promise.all(many)
  test.ok(codes.includes('UNAVAILABLE'))
  const metrics = await server.telemetry.metrics.registry.metrics()
  test.match(metrics, /logins_limited_total\{reason="address"\} [67]\d/)
  test.match(metrics, /reviews_shed_total\{queue="TokenReview"\} [1-9]/)
  test.match(metrics, 'reviews_in_flight{queue="TokenReview"} 0')
})

await t.test(
  'enforce: a list does not show the digests that are open because no tag reaches them',
  async (test) => {
    const { server, kubernetes } = await create(test)
    const token = kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
    const { identity } = await server.login.authenticate({ kind: 'bearer', token }, '192.0.2.1')
    const parse = (text: string) =>
      parseReference(parseRepository('openshift', 'ci', 'openshift/ci'), text, ownerOf)
    const unseen = parse(`sha256:${'a'.repeat(64)}`)
    test.match(await server.access.policy.decide(identity, unseen), { allowed: true })
    test.equal(await server.access.policy.mayList(identity, unseen), false)
    test.equal(await server.access.policy.mayList(identity, parse('ocp_4.5_base')), true)
    test.strictSame(server.plugins, [])
  },
)

await t.test('audit: the rule of qci-appci, and its message to refused clients', async (test) => {
  const { server, kubernetes } = await create(test, ['--authorization=audit'])
  const token = kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'default' })
  const { identity } = await server.login.authenticate({ kind: 'bearer', token }, '192.0.2.1')
  test.match(await server.access.policy.decideImageStream(identity, { namespace: 'ocp' }), {
    rule: 'service-account',
  })
  test.equal(server.plugins?.length, 1)
  test.notMatch(
    server.access.denied({ identity: alice, wanted: 'x', namespace: 'ocp' }).message,
    'system:image-puller',
  )
})

await t.test('with --cache-dir: the state of the disk, and a directory that is given back', async (test) => {
  const { components, server } = await create(test, ['--cache-dir=FOLDER/cache'])
  test.ok(components.storage)
  test.ok(
    server.health.status().some((line) => line.includes('cache')),
    server.health.status().join(),
  )
  await components.close()
})

await t.test('with a mirror: its queue is decided by reviews of the path', async (test) => {
  const { server, kubernetes } = await create(test, ['--mirror-url=http://127.0.0.1:1'])
  const token = kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const { identity } = await server.login.authenticate({ kind: 'bearer', token }, '10.0.0.1')
  test.equal(await server.mirror?.rights.require(identity, 'get'), true)
  test.match(server.explanation.parts().at(-1), { name: 'mirror', state: 'unknown' })
  test.equal((await create(test)).server.mirror, undefined)
})
