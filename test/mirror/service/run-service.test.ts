import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parseMirrorArguments } from '../../../src/mirror/arguments.ts'
import { runService } from '../../../src/mirror/service/run-service.ts'
import { kubeConfigOf } from '../../kubernetes/kubeconfig-of.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { startPushableRegistry } from '../../support/pushable-registry.ts'
import { until } from '../../support/until.ts'
import { startLeaseApi } from '../lease/lease-api.ts'
import { supplemental } from '../validation/entries.ts'
import { undocumentedIn } from '../../support/log-fields.ts'
import { memoryLog } from './services.ts'

const started = async (test: Test, ...more: readonly string[]) => {
  const registry = await startPushableRegistry(test, { login: 'basic' })
  for (const name of ['x', 'y'])
    tag(registry.repository(`team/${name}`), 'v1', putImage(registry.repository(`team/${name}`), name))
  const { state, port } = await startLeaseApi(test)
  const folder = test.testdir({
    config: supplemental({ 'a/b:c': 'quay.io/team/x:v1' }),
    auth: JSON.stringify({ auths: { '127.0.0.1': { username: 'robot', password: 'secret' } } }),
    kubeconfig: kubeConfigOf(port),
  })
  const file = (name: string) => join(folder, name)
  const log = memoryLog()
  const args = [
    `--config=${file('config')}`,
    `--registry-config=${file('auth')}`,
    `--kubeconfig=${file('kubeconfig')}`,
    `--registry-origin=quay.io=${registry.origin.origin}`,
    '--port=0',
    '--metrics-port=0',
    ...more,
  ]
  writeFileSync(
    file('auth'),
    JSON.stringify({ auths: { [registry.host]: { username: 'robot', password: 'secret' } } }),
  )
  const start = async (...last: readonly string[]) =>
    await runService(parseMirrorArguments([...args, ...last]), log.logger)
  return { registry, lease: state, log, start, file, stored: registry.repository('openshift/ci') }
}

await t.test('a kubeconfig that sends tokens in clear is a warning', async (t) => {
  const { log, start, file } = await started(t)
  writeFileSync(file('kubeconfig'), kubeConfigOf(1).replace('127.0.0.1', 'app-ci.invalid'))
  const { stop } = await start('--dry-run')
  t.match(log.messages().join('\n'), 'the kubeconfig has an API server on plain http')
  await stop()
})

await t.test('the service: lease, copies, API, metrics and probes, and its end', async (t) => {
  const { registry, lease, log, start, stored, file } = await started(t)
  const { url, metricsUrl, reload, stop } = await start()
  await until(() => stored.tags.has('a_b_c'))
  t.match(lease.lease, { metadata: { namespace: 'ci', name: 'ci-image-mirror' } })
  const text = async (page: string) => await (await fetch(page)).text()
  t.equal(await text(`${url}/api/health`), '{"ok":true}\n')
  t.match(await text(`${url}/api/v1/mirrors/a/b:c`), /"target":"a\/b:c"/)
  t.match(await text(`${metricsUrl}/metrics`), 'ci_images_mirror_leader 1')
  t.match(await text(`${metricsUrl}/readyz?verbose`), 'this replica has the lease')
  writeFileSync(file('config'), 'supplementalCIImages: []\n')
  reload()
  await until(() => log.messages().includes('Failed to reload config'))
  t.match(await text(`${metricsUrl}/metrics`), 'ci_images_mirror_config_current 0')
  writeFileSync(file('config'), supplemental({ 'a/b:d': 'quay.io/team/y:v1', 'a/b:hub': 'fedora' }))
  reload()
  await until(() => stored.tags.has('a_b_d'))
  t.ok(log.messages().includes('The configuration has problems'))
  await stop()
  t.equal(log.messages().at(-1), 'Process ended gracefully')
  t.match(lease.lease, { spec: { holderIdentity: '' } })
  t.notMatch(JSON.stringify(log.lines), 'secret')
  t.strictSame(undocumentedIn(log.lines), [])
  t.ok(registry.requests.length > 0)
})

await t.test('signatures of targets that a pattern matches', async (t) => {
  const { registry, start, stored, file } = await started(t, '--attachments=^a/b')
  writeFileSync(file('config'), supplemental({ 'a/b:c': 'quay.io/team/x:v1', 'x/y:z': 'quay.io/team/y:v1' }))
  const signatureOf = (name: string) => {
    const source = registry.repository(`team/${name}`)
    const signature = `${source.tags.get('v1')?.replace(':', '-')}.sig`
    tag(source, signature, putImage(source, `signature of ${name}`))
    return signature
  }
  const [wanted, other] = [signatureOf('x'), signatureOf('y')]
  const { stop } = await start()
  await until(() => stored.tags.has('a_b_c') && stored.tags.has('x_y_z'))
  t.ok(stored.tags.has(wanted))
  t.notOk(stored.tags.has(other))
  await stop()
})

await t.test('a changed auth file that is not valid is logged', async (t) => {
  const { log, start, file } = await started(t)
  const { reload, stop } = await start()
  writeFileSync(file('auth'), 'none')
  reload()
  t.ok(log.messages().includes('The changed file of --registry-config is not used'))
  await stop()
})

await t.test('a dry run has no lease', async (t) => {
  const { lease, log, start, stored } = await started(t, '--dry-run', '--leader-election-suffix=-x')
  const { metricsUrl, stop } = await start()
  await until(() => log.messages().includes('Compared all images'))
  t.equal(lease.requests.length, 0)
  t.equal(stored.tags.size, 0)
  t.match(
    await (await fetch(`${metricsUrl}/readyz?verbose`)).text(),
    'another replica has the lease, or nobody',
  )
  await stop()
})

await t.test('errors at the start', async (t) => {
  const { start } = await started(t)
  await t.rejects(runService(parseMirrorArguments(['--leader-election-namespace=']), memoryLog().logger), {
    message: [
      'give the configuration: --config=FILE',
      'give the docker auth file of the robots: --registry-config=FILE',
      '--leader-election-namespace must be set',
    ].join('; '),
  })
  await t.rejects(start('--leader-election-suffix=-x'), {
    message: 'dry-run must be set if --leader-election-suffix is set',
  })
  await t.rejects(start('--registry-config=/nothing'), /cannot be read/)
  const other = createServer().listen(0, '::')
  t.teardown(() => other.close())
  await until(() => other.listening)
  await t.rejects(start(`--port=${(other.address() as AddressInfo).port}`), /^--port: .*EADDRINUSE/)
})

await t.test('a registry without --registry-origin is at https://HOST', async (t) => {
  const { log, start, file } = await started(t)
  writeFileSync(file('config'), supplemental({ 'a/b:c': 'localhost:1/x/y:v1' }))
  const { stop } = await start()
  await until(() => log.messages().includes('The image cannot be compared'))
  await stop()
})

await t.test(
  'the watch of all ImageStreams lists them, and without a right to do so it says so',
  async (t) => {
    const { log, start } = await started(t, '--enable-controller=quay_io_ci_images_distributor')
    const { metricsUrl, reload, stop } = await start(
      '--only-valid-manifest-v2-images=false',
      '--release-repo-git-sync-path=/nothing',
    )
    await until(() => log.messages().includes('ImageStream list/watch failed; retrying'))
    reload()
    t.match(await (await fetch(`${metricsUrl}/metrics`)).text(), /^ci_images_mirror_list_whole 0$/m)
    t.match(
      await (await fetch(`${metricsUrl}/readyz?verbose`)).text(),
      /^the checkout of openshift\/release cannot be read: ENOENT/m,
    )
    await stop()
  },
)
