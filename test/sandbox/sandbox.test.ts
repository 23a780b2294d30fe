import { existsSync, statSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { dirname } from 'node:path'
import t from 'tap'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { projectDirectories as rbac } from './app-ci/project-manifests.ts'
import { ask } from './quay/quay-client.ts'
import { ownTemporaryFolder } from './temporary-folder.ts'

const logger = createLogger('silent')

await t.test('a proxy that is ready, in front of a cluster and a registry of its own', async (test) => {
  const sandbox = await startSandbox({ logger, rbac, port: 0 })
  test.equal((await ask(`${sandbox.url}/readyz`)).status, 200)
  test.match(String((await ask(`${sandbox.metricsUrl}/metrics`)).body), 'quay_proxy_')
  const { headers } = await ask(`${sandbox.url}/v2/`)
  test.match(headers['www-authenticate'], `realm="${sandbox.url}/v2/auth"`)
  test.ok(sandbox.stock.tags.length > 5)
  test.equal(sandbox.families, undefined)
  test.equal(sandbox.mirror, undefined)
  test.strictSame(sandbox.skipped, [])
  test.equal(sandbox.objects.length, rbac.length)
  for (const file of Object.values(sandbox.files)) test.equal(statSync(file).mode & 0o777, 0o600)
  const urls = [sandbox.url, sandbox.quay.url, sandbox.kubernetes.url]
  await sandbox.close()
  test.notOk(existsSync(dirname(sandbox.files.password)), 'no secret is left behind')
  for (const url of urls) await test.rejects(ask(url))
})

await t.test('with a mirror, whose queue the proxy shows', async (test) => {
  const sandbox = await startSandbox({ logger, rbac, port: 0, mirror: true })
  test.teardown(sandbox.close)
  const { kubernetes, mirror, url } = sandbox
  test.equal(await mirror?.arrived(new AbortController().signal), 'same')
  const token = kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const { status, body } = await ask(`${url}/mirrors`, { authorization: `Bearer ${token}` })
  test.strictSame([status, JSON.parse(String(body))], [200, { mirrors: null, total: 0 }])
  await sandbox.close()
  await test.rejects(ask(mirror!.url))
})

await t.test('flags of the proxy, and a port of choice', async (test) => {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  await test.rejects(startSandbox({ logger, rbac, port }), {
    message: `listen EADDRINUSE: address already in use 127.0.0.1:${port}: choose another with --port`,
  })
  free.close()
  await once(free, 'close')
  const sandbox = await startSandbox({
    logger,
    rbac,
    port,
    flags: ['--grace-period=0', '--exposed-url=http://a'],
  }).catch((error: unknown) => error as Error)
  test.match(sandbox, { message: '--exposed-url is given twice' })
  const other = await startSandbox({ logger, rbac, port, flags: ['--grace-period=0'] })
  test.teardown(other.close)
  test.equal(other.url, `http://127.0.0.1:${port}`)
})

await t.test('manifests that cannot be read', async (test) => {
  await test.rejects(startSandbox({ logger, rbac: [`${test.testdirName}/away`], port: 0 }), {
    message: /away: ENOENT/,
  })
})

await t.test('a proxy that does not become ready, for nobody lets it ask', async (test) => {
  const folder = test.testdir({ 'a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n' })
  await test.rejects(startSandbox({ logger, rbac: [folder], port: 0, readyTimeoutMs: 200 }), {
    message:
      'the proxy did not become ready: the RBAC has to let it create TokenReviews and SubjectAccessReviews, as manifests/rbac does',
  })
})

await t.test('RBAC of real clusters: their roles are known, and other documents are named', async (test) => {
  const folder = test.testdir({
    '_config.yaml': 'a: b',
    'role.yaml': 'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: lost }\n',
    'builder.yaml': `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: builders, namespace: ocp-priv }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-builder' }
subjects: [{ kind: ServiceAccount, name: builder }]
`,
  })
  const sandbox = await startSandbox({ logger, rbac: [...rbac, folder], port: 0, families: true })
  test.teardown(sandbox.close)
  const builder = sandbox.kubernetes.issueServiceAccountToken({ namespace: 'ocp-priv', name: 'builder' })
  test.strictSame(sandbox.kubernetes.mayPull(builder, [{ namespace: 'ocp-priv' }, { namespace: 'ocp' }]), [
    true,
    false,
  ])
  test.strictSame(sandbox.skipped, [
    `${folder}/_config.yaml: its name begins with _, so it is applied to no cluster`,
    'Role "lost": it has no metadata.namespace',
  ])
  test.equal(sandbox.objects.at(-1)?.length, 2)
  test.ok(sandbox.families!.tags.length > 30)
})

await t.test('a start that is ended leaves no secret behind', async (test) => {
  const leftBehind = ownTemporaryFolder(test)
  await test.rejects(startSandbox({ logger, rbac, port: 0, signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  test.strictSame(leftBehind(), [])
})
