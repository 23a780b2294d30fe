import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parseConfig } from '../src/config/config.ts'
import { createLogger } from '../src/logging.ts'
import { createParts } from '../src/parts.ts'
import { startKubernetesApi } from '../src/sandbox/kubernetes-api.ts'
import { readManifests } from '../src/sandbox/rbac.ts'
import { challenge } from './registry/fakes.ts'
import { quayFor, robot, selfSigned, smallImage } from './sandbox/quay-client.ts'

const create = async (test: Test, flags: readonly string[] = []) => {
  const kubernetes = await startKubernetesApi({
    objects: await readManifests(join(import.meta.dirname, '../manifests/rbac')),
  })
  test.teardown(() => kubernetes.close())
  const quay = await quayFor(test)
  const { cert, key } = selfSigned(test)
  const folder = test.testdir({
    username: robot.username,
    password: robot.password,
    secret: 'a secret of 22 letters',
    kubeconfig: kubernetes.kubeconfig(),
    cert: String(cert),
    key: String(key),
  })
  const args = [
    `--robot-username-file=${folder}/username`,
    `--robot-password-file=${folder}/password`,
    `--token-secret-file=${folder}/secret`,
    `--kubeconfig=${folder}/kubeconfig`,
    `--upstream=${quay.url}`,
    ...flags.map((flag) => flag.replace('FOLDER', folder)),
  ]
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) })
  const state = { stopping: false }
  const made = createParts(parseConfig(args, {}), logger, () => state.stopping)
  test.teardown(made.close)
  return { made, parts: made.parts, kubernetes, quay, folder, lines, state }
}

await t.test('everything is joined: a token, a decision, a manifest, and their numbers', async (test) => {
  const { parts, kubernetes, quay } = await create(test)
  const image = await smallImage()
  quay.tag('ocp_4.5_base', image)
  const token = kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const { identity } = await parts.authenticate({ kind: 'bearer', token })
  await parts.authenticate({ kind: 'bearer', token })
  const decision = await parts.policy.decideImageStream(identity, { namespace: 'ocp' })
  parts.observe(decision)
  parts.observe({ ...decision, allowed: false })
  parts.observeStreams(1)
  const { signal } = new AbortController()
  const manifest = await parts.fetchManifest({
    method: 'GET',
    reference: 'ocp_4.5_base' as never,
    accept: undefined,
    signal,
  })
  test.equal(manifest.digest, image.digest)
  const metrics = await parts.metrics.registry.metrics()
  for (const line of [
    'reviews_total{kind="TokenReview",outcome="authenticated"} 1',
    'cache_hits_total{cache="TokenReview",outcome="authenticated",source="cached"} 1',
    'decisions_total{rule="qci-wide",source="asked"} 1',
    'decisions_total{rule="denied",source="asked"} 1',
    'streams_in_flight 1',
    'upstream_requests_total{kind="manifest",status="200"} 1',
  ])
    test.ok(metrics.includes(`quay_proxy_${line}`), line)
})

await t.test('not ready, and why', async (test) => {
  const { made, parts, state } = await create(test)
  test.strictSame(parts.notReady(), ['upstream was not asked yet', 'the API server was not reached yet'])
  await made.robot.authorization()
  await made.apiServer.reviewAccess({ user: 'a', resourceAttributes: { verb: 'get', resource: 'pods' } })
  test.strictSame(parts.notReady(), [])
  state.stopping = true
  test.strictSame(parts.notReady(), ['shutting down'])
})

await t.test('a robot that upstream refuses is an alarm, without its password', async (test) => {
  const { made, parts, quay, lines } = await create(test)
  quay.setRobot({ ...robot, password: 'another' })
  await test.rejects(made.robot.authorization(), { code: 'UNAVAILABLE' })
  test.match(lines, [{ level: 'error', msg: 'upstream refuses the robot: nobody can pull' }])
  test.match(await parts.metrics.registry.metrics(), 'quay_proxy_robot_refused_total 1')
  test.notMatch(JSON.stringify(lines), robot.password)
})

await t.test('files that change are taken; those that cannot be used are an alarm', async (test) => {
  const { made, parts, folder, lines } = await create(test, [
    '--tls-cert-file=FOLDER/cert',
    '--tls-key-file=FOLDER/key',
  ])
  test.match(parts.tls, { cert: /BEGIN CERTIFICATE/, key: /BEGIN PRIVATE KEY/ })
  writeFileSync(join(folder, 'password'), 'the next')
  test.equal(made.files.robot.reload(), true)
  test.match(lines.at(-1), { level: 'info', file: 'robot', msg: 'reloaded' })
  writeFileSync(join(folder, 'secret'), 'hunter2')
  test.equal(made.files.tokenSecret.reload(), false)
  test.match(lines.at(-1), { level: 'error', file: 'token secret', err: { message: /fewer than 16/ } })
  writeFileSync(join(folder, 'key'), 'hunter2')
  test.equal(made.files.tls?.reload(), false)
  test.match(lines.at(-1), { level: 'error', file: 'tls' })
  test.notMatch(JSON.stringify(lines), /hunter2|PRIVATE/)
  const metrics = await parts.metrics.registry.metrics()
  test.match(metrics, /reload_failures_total\{file="token secret"\} 1/)
  test.match(metrics, /reload_failures_total\{file="tls"\} 1/)
})

await t.test('an authority for upstream, and the exposed origin in the challenge', async (test) => {
  const { parts } = await create(test, ['--upstream-ca-file=FOLDER/cert', '--exposed-host=proxy.example'])
  test.strictSame(parts.challenge.unauthorized('a').headers, challenge.unauthorized('a').headers)
  test.match(parts.denied('alice', 'x', 'ocp').message, 'namespace ocp')
})
