import { writeFileSync } from 'node:fs'
import t from 'tap'
import { openMirror, readDesired } from '../../../src/mirror/commands/local-mirror.ts'
import { hex, startApi } from '../../kubernetes/watching.ts'
import { configOf } from '../validation/entries.ts'
import { startedCommand } from './commands.ts'

await t.test('with a kubeconfig, the images of ART are in the list', async (t) => {
  const config = 'artImages: [{namespace: openshift, name: ^release$}]\n'
  const { args, folder } = await startedCommand(t, config)
  t.equal((await readDesired(args('plan'), configOf(config))).images.length, 0)
  const { api, imageStreams } = await startApi(t)
  imageStreams.put({ namespace: 'openshift', name: 'release', tags: { golang: [hex('c')] } })
  writeFileSync(`${folder}/kubeconfig`, api.kubeconfig())
  const withCluster = args('plan', `--kubeconfig=${folder}/kubeconfig`)
  t.equal((await readDesired(withCluster, configOf(config))).images.length, 1)
  api.fault({ kind: 'status', status: 500 })
  await t.rejects(readDesired(withCluster, configOf(config)), /does not list the ImageStreams/)
})

await t.test('with the watch enabled, its images are in the list', async (t) => {
  const { args, folder } = await startedCommand(t, '')
  const { api, imageStreams } = await startApi(t)
  imageStreams.put({ namespace: 'ocp', name: '4.5', tags: { cli: [hex('c')], base: [hex('d')] } })
  writeFileSync(`${folder}/kubeconfig`, api.kubeconfig())
  const plan = (...more: readonly string[]) =>
    args(
      'plan',
      `--kubeconfig=${folder}/kubeconfig`,
      '--enable-controller=quay_io_ci_images_distributor',
      '--quayIOCIImagesDistributorOptions.additional-image-stream-tag=ocp/4.5:cli',
      ...more,
    )
  const { images } = await readDesired(plan(), configOf('supplementalCIImages: {}\n'))
  t.strictSame(
    images.map(({ target }) => target),
    ['ocp/4.5:cli'],
  )
  // A plan that lacks them would look complete.
  await t.rejects(
    readDesired(plan('--release-repo-git-sync-path=/nothing'), configOf('supplementalCIImages: {}\n')),
    /ENOENT/,
  )
  const withoutCluster = args('plan', '--enable-controller=quay_io_ci_images_distributor')
  await t.rejects(readDesired(withoutCluster, configOf('supplementalCIImages: {}\n')), /needs a kubeconfig/)
  api.fault({ kind: 'status', status: 500 })
  await t.rejects(readDesired(plan(), configOf('supplementalCIImages: {}\n')), /500/)
})

await t.test('the origins of registries', async (t) => {
  const { args, registry } = await startedCommand(t, '')
  for (const [io, flags] of [
    [{}, [`--registry-origin=quay.io=${registry.origin.origin}`]],
    [{ originOf: () => registry.origin }, []],
    [{}, ['--qci=localhost:1/a/b']],
  ] as const) {
    const { mirror, close } = openMirror(args('plan', ...flags), io)
    const image = {
      target: 'a/b:c',
      float: 'a_b_c',
      source: { registry: 'localhost:1', repository: 'x', tag: 'v', digest: undefined },
      ...(flags[0]?.startsWith('--qci') === true
        ? {}
        : { destination: { registry: 'quay.io', repository: 'a' } }),
    }
    const [finding] = await mirror.compare({ images: [image] })
    t.equal(finding?.state, 'originOf' in io ? 'missing' : 'unreadable')
    await close()
  }
  t.ok(registry.requests.length > 1)
})
