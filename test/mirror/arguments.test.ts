import t from 'tap'
import { parseMirrorArguments, type ArgumentsError } from '../../src/mirror/arguments.ts'
import { thrown } from '../support/thrown.ts'

await t.test('the flags of the check', async (t) => {
  t.match(
    parseMirrorArguments([
      '--validate-config-only',
      '-config',
      'a.yaml',
      '--base=b.yaml',
      '--release-repo-git-sync-path=/release',
      '--format=json',
    ]),
    {
      command: 'validate',
      config: 'a.yaml',
      base: 'b.yaml',
      releaseRepository: '/release',
      registryConfig: undefined,
      format: 'json',
      notices: [],
    },
  )
  t.match(parseMirrorArguments(['validate', '--online', '--online-timeout=90s']), {
    isOnline: true,
    onlineTimeoutMs: 90_000,
  })
  t.throws(() => parseMirrorArguments(['plan', '--online']), /--online is a flag of validate/)
  t.match(parseMirrorArguments([]), { command: 'serve', config: undefined, format: 'plain' })
  t.equal(parseMirrorArguments(['--validate-config-only=false']).command, 'serve')
  t.equal(parseMirrorArguments(['validate']).command, 'validate')
})

await t.test('the arguments of the former deployment are accepted', async (t) => {
  const { notices, dryRun, command, distributor } = parseMirrorArguments([
    '--leader-election-namespace=ci',
    '--release-repo-git-sync-path=/var/repo/release',
    '--registry-config=/etc/push/.dockerconfigjson',
    '--config=/var/repo/release/core-services/image-mirroring/_config.yaml',
    '-dry-run=true',
    '--quayIOCIImagesDistributorOptions.additional-image-stream-tag=a/b:c',
    '--quayIOCIImagesDistributorOptions.additional-image-stream-tag=a/b:d',
    '--only-valid-manifest-v2-images',
  ])
  t.equal(command, 'serve')
  t.equal(dryRun, true)
  t.strictSame(notices, [
    '--quayIOCIImagesDistributorOptions.additional-image-stream-tag has no effect without --enable-controller=quay_io_ci_images_distributor',
    '--only-valid-manifest-v2-images has no effect without --enable-controller=quay_io_ci_images_distributor',
  ])
  t.equal(distributor, undefined)
})

await t.test('the plan', async (t) => {
  t.match(parseMirrorArguments(['plan', '--config=a', '--registry-config=b']), {
    command: 'plan',
    config: 'a',
    registryConfig: 'b',
  })
})

await t.test('all mistakes are reported at once', async (t) => {
  const error = thrown(() =>
    parseMirrorArguments(['x', '--nonsense', '--format=xml', '--dry-run=perhaps', '--config']),
  ) as ArgumentsError
  t.strictSame(error.problems, [
    '--nonsense is not a flag; --help lists them',
    '--dry-run=perhaps is not valid: expected true or false',
    '--config needs a value',
    '"x" is not a command; --help lists them',
    '--format=xml is not valid: expected plain, json, github',
  ])
})

await t.test('the defaults of the service', async (t) => {
  t.match(parseMirrorArguments([], { KUBECONFIG: '/kube' }), {
    kubeconfig: '/kube',
    leaderElectionNamespace: 'ci',
    leaderElectionSuffix: '',
    dryRun: false,
    port: 8090,
    metricsPort: 8080,
    gracePeriodMs: 10_000,
    intervalMs: 600_000,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    logLevel: 'debug',
    url: undefined,
  })
})

await t.test('values', async (t) => {
  const { origins, url, port } = parseMirrorArguments([
    '--registry-origin=quay.io=http://127.0.0.1:5000',
    '--registry-origin=a.example=http://127.0.0.1:5001',
    '--url=http://mirror:8090',
    '--port=0',
  ])
  t.strictSame([...origins.keys()], ['quay.io', 'a.example'])
  t.equal(origins.get('quay.io')?.port, '5000')
  t.equal(url?.host, 'mirror:8090')
  t.equal(port, 0)
  const error = thrown(() =>
    parseMirrorArguments([
      '--registry-origin=quay.io',
      '--registry-origin==http://a',
      '--url=mirror',
      '--port=x',
      '--metrics-port=99999',
      '--gracePeriod=10',
      '--qci=quay.io',
      '--log-level=loud',
    ]),
  ) as ArgumentsError
  t.strictSame(
    error.problems.map((problem) => problem.split(' is not valid')[0]),
    [
      '--port=x',
      '--metrics-port=99999',
      '--gracePeriod=10',
      '--qci=quay.io',
      '--registry-origin=quay.io',
      '--registry-origin==http://a',
      '--url=mirror',
      '--log-level=loud',
    ],
  )
})

await t.test('commands about one image; did you mean', async (t) => {
  t.match(parseMirrorArguments(['explain', 'a/b:c', '--url=http://a']), {
    command: 'explain',
    target: 'a/b:c',
  })
  t.match(parseMirrorArguments(['sync', 'a/b:c']), { command: 'sync', target: 'a/b:c' })
  const problemsOf = (...args: readonly string[]) =>
    (thrown(() => parseMirrorArguments(args)) as ArgumentsError).problems
  t.strictSame(problemsOf('explain'), [
    'explain needs an image: ci-images-mirror explain <namespace>/<name>:<tag>',
  ])
  t.strictSame(problemsOf('plan', 'x'), ['"x" is not a flag; flags begin with --'])
  t.strictSame(problemsOf('explan', 'x'), [
    '"explan" is not a command; did you mean explain? --help lists them',
  ])
  t.strictSame(problemsOf('--confg=x'), ['--confg is not a flag; did you mean --config? --help lists them'])
})
