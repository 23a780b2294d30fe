import { join } from 'node:path'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import type { Test } from 'tap'
import { putImage, tag } from '../support/image-fixtures.ts'
import { startPushableRegistry } from '../support/pushable-registry.ts'
import { kubeConfigOf } from '../kubernetes/kubeconfig-of.ts'
import { startLeaseApi } from './lease/lease-api.ts'
import { help, run } from '../../src/mirror/run.ts'

const good = 'supplementalCIImages:\n  a/b:c: {image: quay.io/a/b:c}\n'

const started = async (test: Test, args: readonly string[], originOf?: (host: string) => URL) => {
  const folder = test.testdir({
    good,
    malformed: 'supplementalCIImages: []\n',
    auth: JSON.stringify({ auths: { 'quay.io/openshift/ci': { username: 'a', password: 'b' } } }),
    bad: good.replace('quay.io/', 'docker.io/'),
    release: {
      'ci-operator': {
        config: { 'x.yaml': 'images: [{to: b}]\npromotion:\n  to: [{namespace: a, tag: c}]\n' },
      },
    },
  })
  const output: string[] = []
  const errors: string[] = []
  const code = await run(
    args.map((arg) => arg.replace('FOLDER', folder)),
    {
      print: (text) => output.push(text),
      printError: (text) => errors.push(text),
      ...(originOf && { originOf }),
    },
  )
  return { code, output: output.join('\n').replaceAll(folder, 'FOLDER'), errors, folder }
}
const check = '--validate-config-only'

await t.test('exit code 0 for a valid configuration, 1 for any other', async (t) => {
  t.match(await started(t, [check, '--config=FOLDER/good']), {
    code: 0,
    output: 'FOLDER/good: valid, 0 errors, 0 warnings',
    errors: [],
  })
  t.match(await started(t, [check, '--config=FOLDER/bad']), {
    code: 1,
    output: /^FOLDER\/bad:2:3: error: source image docker\.io\/a\/b:c is from docker\.io/,
  })
  t.equal((await started(t, [check, '--config=FOLDER/bad', '--base=FOLDER/bad'])).code, 0)
})

await t.test('promoted tags of a checkout', async (t) => {
  const release = '--release-repo-git-sync-path=FOLDER/release'
  t.match(await started(t, [check, '--config=FOLDER/good', release]), {
    code: 1,
    output: /would overwrite a promoted tag: x\.yaml promotes it/,
  })
  const { code, errors, folder } = await started(t, [check, '--config=FOLDER/good', `${release}-not`])
  t.equal(code, 2)
  t.strictSame(errors, [
    `ci-images-mirror: ${join(folder, 'release-not', 'ci-operator', 'config')} does not exist`,
  ])
})

await t.test('exit code 2 for wrong arguments', async (t) => {
  t.match(await started(t, []), { code: 2, errors: [/give the configuration/, /give the docker auth file/] })
  t.match(await started(t, [check]), { code: 2, errors: [/give the configuration/] })
  t.match(await started(t, [check, '--config=FOLDER/nothing']), {
    code: 2,
    errors: [/nothing cannot be read: ENOENT/],
  })
  t.match(await started(t, ['x', '--nonsense']), { code: 2, errors: [/./, /./] })
})

await t.test('a program error is a sentence, too', async (t) => {
  const errors: string[] = []
  const broken = () => {
    throw new Error('the disk is full')
  }
  const folder = t.testdir({ good })
  const code = await run([check, `--config=${folder}/good`], {
    print: broken,
    printError: (text) => errors.push(text),
  })
  t.equal(code, 2)
  t.strictSame(errors, ['ci-images-mirror: the disk is full'])
})

await t.test('help and notices', async (t) => {
  for (const given of ['--help', '-h', 'help']) t.match(await started(t, [given]), { code: 0, output: help })
  for (const given of ['--version', 'version', '-v'])
    t.match(await started(t, [given]), { code: 0, output: manifest.version })
  t.match(await started(t, [check, '--config=FOLDER/good', '--only-valid-manifest-v2-images']), {
    code: 0,
    errors: [
      'ci-images-mirror: --only-valid-manifest-v2-images has no effect without --enable-controller=quay_io_ci_images_distributor',
    ],
  })
})

await t.test('the plan', async (t) => {
  const registry = await startPushableRegistry(t)
  const originOf = () => registry.origin
  const plan = async (...args: readonly string[]) =>
    await started(t, ['plan', '--config=FOLDER/good', ...args], originOf)
  t.match(await plan(), {
    code: 1,
    output: 'missing     a/b:c  quay.io/a/b:c does not exist\n0 of 1 images are up to date',
  })
  tag(registry.repository('a/b'), 'c', putImage(registry.repository('a/b'), 'a'))
  t.match(await plan('--registry-config=FOLDER/auth'), {
    code: 0,
    output: /^new {9}a\/b:c {2}nothing yet -> sha256:[0-9a-f]{12} of quay\.io\/a\/b:c\n/,
    errors: [],
  })
  t.ok(registry.requests.every(({ method }) => method === 'HEAD'))
  t.match(await started(t, ['plan', '--config=FOLDER/malformed'], originOf), {
    code: 2,
    errors: [/supplementalCIImages is not a map; write/],
  })
})

await t.test('each command', async (t) => {
  const registry = await startPushableRegistry(t)
  const originOf = () => registry.origin
  t.match(await started(t, ['validate', '--config=FOLDER/good']), { code: 0 })
  t.match(await started(t, ['explain', 'a/b:c', '--config=FOLDER/good'], originOf), {
    code: 1,
    output: /The source does not exist/,
  })
  t.match(await started(t, ['sync', 'a/b:c']), { code: 2, errors: [/sync needs the service/] })
})

await t.test('the service runs until its end', async (t) => {
  const { port } = await startLeaseApi(t)
  const folder = t.testdir({ good, auth: '{"auths":{}}', kubeconfig: kubeConfigOf(port) })
  const ends: (() => Promise<void>)[] = []
  const lines: string[] = []
  const code = await run(
    [
      ...['config=good', 'registry-config=auth', 'kubeconfig=kubeconfig'].map(
        (flag) => `--${flag.replace('=', `=${folder}/`)}`,
      ),
      '--port=0',
      '--metrics-port=0',
      '--dry-run',
      '--registry-origin=quay.io=http://127.0.0.1:1',
    ],
    {
      print: (text) => t.fail(text),
      printError: (text) => t.fail(text),
      log: { write: (line) => void lines.push(line) },
      onEnd: (end) => ends.push(end),
      onReload: (reload) => reload(),
    },
  )
  t.equal(code, 0)
  await ends[0]?.()
  t.match(lines.at(-1), /"component":"ci-images-mirror".*"msg":"Process ended gracefully"/)
})
