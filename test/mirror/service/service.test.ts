import t from 'tap'
import { Distributor } from '../../../src/mirror/distributor/distributor.ts'
import { logDistributor } from '../../../src/mirror/distributor/distributor-log.ts'
import { externalImages } from '../../../src/mirror/plan/desired-source.ts'
import { startApi } from '../../kubernetes/watching.ts'
import { putImage, putImageOf, putUncompressed, tag } from '../../support/image-fixtures.ts'
import type { PushableRegistry } from '../../support/pushable-registry.ts'
import { until } from '../../support/until.ts'
import { fastClock } from '../registry/clients.ts'
import { memoryLog, startedService } from './services.ts'

const addImage = (registry: PushableRegistry, name: string): void => {
  const original = registry.repository(`team/${name}`)
  tag(original, 'v1', putImage(original, `${name} ${Math.random()}`))
}
const rules = {
  backoff: { firstMs: 10, longestMs: 10 },
  maxFailures: { refused: 1, all: 2 },
  random: Math.random,
}

await t.test('the service copies while it has the lease, and logs it', async (t) => {
  const { registry, service, stored, log, lease, stop } = await startedService(t, {
    'a/b:c': 'quay.io/team/x:v1',
    'a/b:gone': 'quay.io/team/none:v1',
    'a/b:hub': 'fedora',
  })
  addImage(registry, 'x')
  t.equal(service.hasLease(), false)
  service.start()
  await until(() => stored.tags.has('a_b_c'))
  await until(() => service.images().some(({ state }) => state === 'same'))
  t.strictSame(
    service.images().map(({ target, state }) => `${target} ${state}`),
    ['a/b:c same', 'a/b:gone missing', 'a/b:hub left out'],
  )
  await until(() => log.messages().includes('Compared all images'))
  for (const message of [
    'successfully acquired lease',
    'Ignored source',
    'Image needs sync',
    'Source image does not exist, skipping mirror',
    'Mirroring ...',
    'Mirrored successfully',
  ])
    t.ok(log.messages().includes(message), message)
  const metrics = await service.metrics.registry.metrics()
  t.match(metrics, /image_mirroring_duration_seconds_count\{state="success"\} 1/)
  t.match(metrics, /ci_images_mirror_images\{state="missing"\} 1/)
  t.match(metrics, /ci_images_mirror_leader 1/)
  t.match(metrics, /ci_images_mirror_config_current 1/)
  t.match(metrics, /ci_images_mirror_list_whole 1/)
  t.match(metrics, /quay_io_ci_images_distributor_mirror_queue_depth 0/)
  t.match(metrics, /ci_images_mirror_oldest_difference_seconds 0\.?\d*/)
  await stop()
  t.equal(lease.state.record?.holder, '', 'the lease is given back')
})

await t.test('a changed entry is copied at once, and a removed entry leaves the queue', async (t) => {
  const { registry, service, stored, change } = await startedService(t, { 'a/b:c': 'quay.io/team/x:v1' })
  for (const name of ['x', 'y']) addImage(registry, name)
  service.changed()
  t.strictSame(service.images(), [], 'nothing without the lease')
  service.start()
  await until(() => stored.tags.has('a_b_c'))
  change({ 'a/b:d': 'quay.io/team/y:v1' })
  await until(() => stored.tags.has('a_b_d'))
  t.strictSame(
    service.images().map(({ target }) => target),
    ['a/b:d'],
  )
})

await t.test('a replica that loses the lease begins no further copy', async (t) => {
  const { registry, service, stored, lease, log, change } = await startedService(t, {
    'a/b:c': 'quay.io/team/x:v1',
  })
  for (const name of ['x', 'y']) addImage(registry, name)
  service.start()
  await until(() => stored.tags.has('a_b_c'))
  lease.state.isCut = true
  await until(() => log.messages().some((text) => String(text).startsWith('The lease is lost')))
  t.ok(log.messages().includes('The lease cannot be read or renewed'))
  registry.requests.length = 0
  change({ 'a/b:d': 'quay.io/team/y:v1' })
  t.match(await service.sync('a/b:c'), /does not have the lease/)
  t.strictSame(service.queue(), [])
  t.strictSame(registry.requests, [])
  lease.state.isCut = false
  await until(() => stored.tags.has('a_b_d'))
})

await t.test('one image can be copied now, also when it is dead', async (t) => {
  const { registry, service, stored, log } = await startedService(
    t,
    { 'a/b:c': 'quay.io/team/x:v1', 'a/b:hub': 'fedora' },
    { rules },
  )
  addImage(registry, 'x')
  t.match(await service.sync('a/b:c'), /does not have the lease/)
  registry.fault = ({ method, path }) =>
    method === 'POST' && path.includes('openshift/ci') ? { status: 403 } : undefined
  service.start()
  await until(() => service.images().some(({ state }) => state === 'dead'))
  t.ok(log.messages().includes('Failed to mirror even with retries'))
  t.match(
    log.lines.find(({ msg }) => msg === 'Running command failed.'),
    { args: 'image mirror quay.io/team/x:v1 quay.io/openshift/ci:a_b_c', error: /403/ },
  )
  const metrics = await service.metrics.registry.metrics()
  t.match(metrics, /image_unhealthy\{target="a\/b:c",state="dead",owner="supplementalCIImagesService"\} 1/)
  t.match(metrics, /ci_images_mirror_copies_total\{result="dead"\} 1/)
  registry.fault = () => undefined
  t.equal(await service.sync('a/b:c'), undefined)
  await until(() => stored.tags.has('a_b_c'))
  t.match(await service.sync('a/b:hub'), /^it is left out: .*docker\.io/)
  t.match(await service.sync('a/b:none'), 'the first pass has not begun yet')
})

await t.test('a copy that fails for a moment is tried again', async (t) => {
  const { registry, service, stored, log } = await startedService(
    t,
    { 'a/b:c': 'quay.io/team/x:v1' },
    { rules },
  )
  addImage(registry, 'x')
  let failures = 0
  registry.fault = ({ method, path }) =>
    method === 'PUT' && path.includes('/manifests/') && failures++ === 0 ? 'cut before' : undefined
  service.start()
  await until(() => stored.tags.has('a_b_c'))
  t.ok(log.messages().includes('Failed to mirror'))
})

await t.test('a dry run logs the differences, and writes nothing', async (t) => {
  const { registry, service, stored, log } = await startedService(
    t,
    { 'a/b:c': 'quay.io/team/x:v1' },
    { lease: undefined },
  )
  addImage(registry, 'x')
  service.start()
  await until(() => log.messages().includes('Compared all images'))
  t.match(service.images(), [{ target: 'a/b:c', state: 'different' }])
  t.match(await service.sync('a/b:c'), /dry run/)
  t.equal(service.hasLease(), false)
  t.strictSame([...stored.tags], [])
  t.ok(registry.requests.every(({ method }) => method === 'HEAD'))
  t.ok(Math.abs(service.epochOf(1000) - service.epochOf(0) - 1000) < 5000)
})

await t.test('the end waits for copies that run, and cuts them after the grace period', async (t) => {
  const { registry, service, stored, stop } = await startedService(t, { 'a/b:c': 'quay.io/team/x:v1' })
  addImage(registry, 'x')
  let isHeld = false
  registry.fault = ({ method, path }) => {
    if (method !== 'PUT' || !path.includes('/manifests/')) return undefined
    isHeld = true
    return { status: 503 }
  }
  service.start()
  await until(() => isHeld)
  await stop(100)
  t.strictSame([...stored.tags], [])
  registry.requests.length = 0
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.strictSame(registry.requests, [])
})

await t.test('a list that cannot be read as a whole, and a pass that fails', async (t) => {
  const reading = { images: [], leftOut: [], problem: 'app.ci does not answer' }
  const { service, log, change } = await startedService(
    t,
    {},
    {
      source: {
        read: async ({ supplemental: { length } }) => {
          if (length > 0) throw new Error('a mistake')
          return reading
        },
      },
    },
  )
  service.start()
  await until(() => log.messages().includes('Part of the list of images cannot be read'))
  t.match(await service.metrics.registry.metrics(), /ci_images_mirror_list_whole 0/)
  change({ 'a/b:c': 'quay.io/a/b:c' })
  await until(() => log.messages().includes('The pass over all images failed'))
})

await t.test('a registry that answers 429 is logged with its name', async (t) => {
  const { registry, service, stored } = await startedService(t, { 'a/b:c': 'quay.io/team/x:v1' })
  addImage(registry, 'x')
  registry.fault = () =>
    registry.requests.length === 1 ? { status: 429, headers: { 'retry-after': '20' } } : undefined
  service.start()
  await until(() => stored.tags.has('a_b_c'))
  t.match(
    await service.metrics.registry.metrics(),
    /^ci_images_mirror_pause_seconds_total\{host="quay\.io"\} (?:19|2\d)/m,
  )
})

await t.test('the watch of all ImageStreams: from an event to QCI, the API and the metrics', async (t) => {
  const { kubeConfig, imageStreams } = await startApi(t)
  const log = memoryLog()
  const source = new Distributor({
    base: externalImages,
    kubeConfig,
    options: {
      additionalTags: new Set(['ocp/4.5:cli']),
      additionalStreams: new Set(['ocp/4.6']),
      additionalNamespaces: new Set(),
      ignoredTags: new Set(),
      onlyValidManifests: true,
      releaseRepository: undefined,
    },
    clock: fastClock,
    observe: logDistributor(log.logger),
    retryMs: 2,
  })
  const { registry, service, stored, stop } = await startedService(t, {}, { source })
  const put = (name: string, tags: Readonly<Record<string, string>>) =>
    imageStreams.put({
      namespace: 'ocp',
      name,
      tags: Object.fromEntries(Object.entries(tags).map(([key, digest]) => [key, [digest]])),
    })
  const release = (name: string, text: string) => putImage(registry.repository(`ocp/${name}`), text).digest
  const old = putImageOf(stored, '2026-01-01T00:00:00Z')
  tag(stored, 'ocp_4.5_cli', old)
  const first = release('4.5', 'first')
  put('4.5', { cli: first, other: first })
  put('4.6', { odd: putUncompressed(registry.repository('ocp/4.6'), 'odd').digest })
  service.start()
  await until(() => stored.tags.get('ocp_4.5_cli') === first)
  const prune = [...stored.tags].find(([name]) => name.endsWith('_prune___ci_images_mirror__ocp_4.5_cli'))
  t.equal(prune?.[1], old.digest, 'the replaced image is kept, as that of any other image')
  const isSettled = ({ state }: { readonly state: string }) => ['same', 'left out'].includes(state)
  await until(() => service.images().length === 2 && service.images().every(isSettled))
  t.strictSame(
    service
      .images()
      .map(({ target, state, owner }) => `${target} ${state} ${owner}`)
      .toSorted(),
    ['ocp/4.5:cli same quay_io_ci_images_distributor', 'ocp/4.6:odd left out quay_io_ci_images_distributor'],
  )
  const second = release('4.5', 'second')
  put('4.5', { cli: second })
  await until(() => stored.tags.get('ocp_4.5_cli') === second)
  t.match(service.verdictOf('ocp/4.5:other'), /no filter/)
  service.reload()
  const metrics = await service.metrics.registry.metrics()
  t.match(metrics, /^ci_images_mirror_watched_tags 2$/m)
  t.match(metrics, /^ci_images_mirror_watch_silent_seconds \d/m)
  t.match(metrics, /^ci_images_mirror_list_whole 1$/m)
  await stop()
  t.equal(imageStreams.watching, 0)
})
