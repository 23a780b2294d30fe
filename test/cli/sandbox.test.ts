import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../src/cli/run.ts'
import { ask } from '../sandbox/quay/quay-client.ts'
import { ownTemporaryFolder } from '../sandbox/temporary-folder.ts'
import { ended, fakeIo, refused, testProblems } from './fake-io.ts'

await t.test('a flag that is none', async (test) => {
  const problem = '--imagestreams is not a flag of sandbox; --help lists them'
  await refused(test, ['sandbox', '--imagestreams=watch'], [problem])
})

await t.test('a port in use', async (test) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  test.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const { code, stderr } = await ended(['sandbox', `--port=${port}`])
  test.equal(code, 2)
  testProblems(test, stderr, [new RegExp(`listen EADDRINUSE: .*:${port}: choose another with --port$`)])
})

await t.test('a folder of RBAC that is not there', async (test) => {
  const leftBehind = ownTemporaryFolder(test)
  const missing = join(test.testdir(), 'missing')
  const { code, stderr } = await ended(['sandbox', `--rbac=${missing}`])
  test.equal(code, 2)
  test.strictSame(leftBehind(), [])
  testProblems(test, stderr, [new RegExp(`cannot read the manifests below ${missing}: ENOENT`)])
})

await t.test('--check pulls everything, says so and is gone', async (test) => {
  const leftBehind = ownTemporaryFolder(test)
  const { io, printed, errors, log, ends } = fakeIo()
  test.equal(await run(['sandbox', '--check'], io), 0)
  test.strictSame([errors, log], [[], []])
  test.match(printed[0], /^Starting a cluster, a registry and the proxy/)
  test.match(
    printed.join('\n'),
    /somebody-of-qci-image-pullers, .*, pulls\n {2}ocp\/4\.5:base .*every digest right[\s\S]*\nAll as it should be\.$/,
  )
  test.strictSame(leftBehind(), [])
  const [[from, end] = []] = ends
  test.equal(from, 'terminal')
  await end?.()
})

await t.test(
  '--check with RBAC of others alone: its identities, and what RBAC lets them pull',
  async (test) => {
    const group = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'hive-team' }
    const binding = (namespace: string) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'image-puller', namespace },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
      subjects: [group],
    })
    const directory = test.testdir({
      a: { '_config.yaml': 'supplementalCIImages: {}', 'hive.json': JSON.stringify(binding('my-team')) },
      b: { 'more.json': JSON.stringify(binding('ocp-priv')), 'dashboard.json': '{}' },
    })
    const args = ['a', 'b'].map((folder) => `--rbac=${join(directory, folder)}`)
    const { code, stdout, stderr } = await ended(['sandbox', '--check', ...args])
    test.strictSame([code, stderr], [0, []])
    test.match(stdout, `${join(directory, 'a/_config.yaml')}: its name begins with _`)
    test.match(stdout, `${join(directory, 'b/dashboard.json')}, document 1: not a Kubernetes object`)
    test.match(stdout, '# somebody-of-hive-team, of the group hive-team: my-team, ocp-priv')
    test.match(stdout, /somebody-of-hive-team, .*, pulls\n.*\n.*\n {2}ocp-priv\/4\.5:embargoed +pulled/)
    test.notMatch(stdout, 'somebody-of-qci-image-pullers', 'the examples are not there')
  },
)

await t.test('--check --as: any identity', async (test) => {
  const args = ['--as=group:qci-image-pullers', '--as', 'system:serviceaccount:my-team:image-puller']
  const { code, stdout } = await ended(['sandbox', '--check', ...args])
  test.equal(code, 0)
  test.match(stdout, /-u system:serviceaccount:my-team:image-puller [\s\S]*-u somebody-of-qci-image-pullers /)
  test.notMatch(stdout, 'mallory')
})

await t.test('it stays up until it is ended', async (test) => {
  const leftBehind = ownTemporaryFolder(test)
  const { io, printed, ends } = fakeIo()
  test.equal(await run(['sandbox', '--port=0'], io), 0)
  test.equal(printed.at(-1), '\nThe sandbox runs until Ctrl-C.')
  const [, port] = /podman pull --tls-verify=false 127\.0\.0\.1:(\d+)/.exec(printed.join('\n')) ?? []
  test.equal((await ask(`http://127.0.0.1:${port}/v2/`)).status, 401)
  test.equal(leftBehind().length, 1)
  const [[, end] = []] = ends
  await end?.()
  test.strictSame(leftBehind(), [])
  await test.rejects(ask(`http://127.0.0.1:${port}/v2/`))
})

await t.test('ended while it starts or shows pulls, it leaves nothing behind', async (test) => {
  const leftBehind = ownTemporaryFolder(test)
  const rows = [
    ['Starting', []],
    ['quay-proxy ', []],
    ['ocp/4.5', []],
    ['quay-proxy ', ['--check']],
  ] as const
  for (const [word, args] of rows) {
    let closing: Promise<void> | undefined
    const { io, printed, errors, ends } = fakeIo({
      onPrint: (line) => {
        if (line.includes(word)) closing ??= ends[0]?.[1]()
      },
    })
    test.equal(await run(['sandbox', '--port=0', ...args], io), args.length === 0 ? 0 : 130, word)
    await closing
    test.ok(closing)
    test.strictSame([errors, leftBehind()], [[], []])
    const [, url = ''] = /quay-proxy +(http\S+)/.exec(printed.join('\n')) ?? []
    if (url !== '') await test.rejects(ask(url))
  }
})
