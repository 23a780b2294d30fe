import t from 'tap'
import type { Test } from 'tap'
import type { MirrorEvent, MirrorOptions } from '../../src/mirror/mirror-options.ts'
import { Mirror } from '../../src/mirror/mirror.ts'
import { desiredImages, type DesiredImage } from '../../src/mirror/plan/desired.ts'
import { Registries } from '../../src/mirror/registry/registries.ts'
import { putImage, putImageOf, putIndex, putUncompressed, tag } from '../support/image-fixtures.ts'
import { startPushableRegistry } from '../support/pushable-registry.ts'
import { fastClock } from './registry/clients.ts'
import { configOf, supplemental } from './validation/entries.ts'

const started = async (test: Test, options: Partial<MirrorOptions> = {}) => {
  const registry = await startPushableRegistry(test)
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: () => undefined,
    originOf: () => registry.origin,
    rate: { perSecond: 1e6, burst: 1000 },
    clock: fastClock,
  })
  test.teardown(async () => await registries.close())
  const events: MirrorEvent[] = []
  const mirror = new Mirror({
    registries,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    observe: (event) => events.push(event),
    clock: fastClock,
    ...options,
  })
  return { registry, mirror, events, stored: registry.repository('openshift/ci') }
}
const desiredOf = (sources: Readonly<Record<string, string>>) =>
  desiredImages(configOf(supplemental(sources)))

await t.test('a pass copies what differs, the next one writes nothing', async (t) => {
  const { registry, mirror, events, stored } = await started(t)
  const names = Array.from({ length: 12 }, (_, index) => `i${index}`)
  for (const [index, name] of names.entries()) {
    const original = registry.repository(`team/${name}`)
    tag(original, 'v1', (index % 2 === 0 ? putImage : putIndex)(original, name))
  }
  const desired = desiredOf(
    Object.fromEntries(names.map((name) => [`a/${name}:v1`, `quay.io/team/${name}:v1`])),
  )
  await mirror.pass(desired)
  await mirror.queue.idle()
  t.equal(events.length, 12)
  t.ok(events.every(({ what }) => what === 'copied'))
  for (const name of names)
    t.equal(stored.tags.get(`a_${name}_v1`), registry.repository(`team/${name}`).tags.get('v1'))
  registry.requests.length = 0
  const findings = await mirror.pass(desired)
  await mirror.queue.idle()
  t.ok(findings.every(({ state }) => state === 'same'))
  t.equal(registry.requests.length, 24, 'two requests an image')
  t.ok(registry.requests.every(({ method }) => method === 'HEAD'))
})

await t.test(
  'a broken image is dead with its reason, and leaves when it is not desired any more',
  async (t) => {
    const rules = {
      backoff: { firstMs: 10, longestMs: 10 },
      maxFailures: { refused: 1, all: 1 },
      random: Math.random,
    }
    const { registry, mirror, events } = await started(t, { rules })
    const original = registry.repository('team/broken')
    const index = putIndex(original, 'broken')
    tag(original, 'v1', index)
    original.manifests.delete([...original.manifests.keys()][0] as string)
    const desired = desiredOf({ 'a/b:c': 'quay.io/team/broken:v1', 'a/b:d': 'quay.io/team/none:v1' })
    t.match(await mirror.pass(desired), [{ state: 'different' }, { state: 'missing' }])
    await mirror.queue.idle()
    t.match(mirror.queue.list(), [{ target: 'a/b:c', state: 'dead', lastError: /a part of the list/ }])
    t.match(events, [{ what: 'failed', status: { state: 'dead' }, error: { kind: 'refused' } }])
    await mirror.pass(desired)
    t.match(mirror.queue.list(), [{ state: 'dead' }])
    await mirror.pass(desiredOf({ 'a/b:d': 'quay.io/team/none:v1' }))
    t.strictSame(mirror.queue.list(), [])
  },
)

await t.test('an image that is removed while its copy fails is not tried again', async (t) => {
  const rules = {
    backoff: { firstMs: 10, longestMs: 10 },
    maxFailures: { refused: 5, all: 5 },
    random: Math.random,
  }
  let copies = 0
  const { registry, mirror, events } = await started(t, {
    rules,
    begin: () => {
      copies++
      void mirror.pass({ images: [], leftOut: [] })
    },
  })
  const original = registry.repository('team/broken')
  tag(original, 'v1', putIndex(original, 'broken'))
  original.manifests.delete([...original.manifests.keys()][0] as string)
  await mirror.pass(desiredOf({ 'a/b:c': 'quay.io/team/broken:v1' }))
  await mirror.queue.idle()
  t.equal(copies, 1)
  t.ok(events.every(({ what }) => what === 'failed'))
  t.strictSame(mirror.queue.list(), [])
})

await t.test('an image that is removed while it is compared is not copied', async (t) => {
  const { registry, mirror, stored } = await started(t)
  const original = registry.repository('team/x')
  tag(original, 'v1', putImage(original, 'x'))
  const desired = desiredOf({ 'a/b:c': 'quay.io/team/x:v1' })
  await mirror.pass(desired)
  await mirror.queue.idle()
  stored.tags.delete('a_b_c')
  const [finding] = await Promise.all([mirror.sync('a/b:c'), mirror.pass({ images: [], leftOut: [] })])
  await mirror.queue.idle()
  t.equal(finding, undefined)
  t.notOk(stored.tags.has('a_b_c'))
})

await t.test('the usual clock', async (t) => {
  const { registries } = {
    registries: new Registries({ permit: { isHeld: () => false }, credentialOf: () => undefined }),
  }
  t.teardown(async () => await registries.close())
  const qci = { registry: 'quay.io', repository: 'openshift/ci' }
  const mirror = new Mirror({ registries, qci, observe: () => undefined })
  t.strictSame(await mirror.pass({ images: [], leftOut: [] }), [])
  await mirror.queue.idle()
})

await t.test('requests of a copy are sent before the comparisons of the same pass', async (t) => {
  const registry = await startPushableRegistry(t)
  const qci = registry.repository('openshift/ci')
  const names = Array.from({ length: 100 }, (_, index) => `t${index}`)
  const source = registry.repository('team/tool')
  for (const name of names) {
    tag(source, name, putImage(source, name))
    tag(qci, `a_${name}_v1`, putImage(qci, name))
  }
  qci.tags.delete('a_t0_v1')
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: () => undefined,
    originOf: () => registry.origin,
    rate: { perSecond: 5, burst: 10 },
    clock: fastClock,
  })
  const mirror = new Mirror({
    registries,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    clock: fastClock,
  })
  t.teardown(async () => await registries.close())
  let before = 0
  registry.onTag = () => (before = registry.requests.length)
  const sources = Object.fromEntries(names.map((name) => [`a/${name}:v1`, `quay.io/team/tool:${name}`]))
  await mirror.pass(desiredImages(configOf(supplemental(sources))))
  await mirror.queue.idle()
  t.ok(qci.tags.has('a_t0_v1'))
  // With a turn for each image, it would be half of all.
  t.ok(before > 0 && before < 70, `${before} of ${registry.requests.length} requests before its tag`)
})

await t.test(
  'an image of the watch that no registry has to take is left out, and costs two requests a pass',
  async (t) => {
    const { registry, mirror, events, stored } = await started(t)
    const source = registry.repository('ocp/4.5')
    const odd = putUncompressed(source, 'odd')
    tag(stored, 'ocp_4.5_cli', putImageOf(stored, '2026-01-01T00:00:00Z'))
    const imageOf = (target: string, isDistributed: boolean, digest = odd.digest): DesiredImage => ({
      target,
      float: target.replaceAll(/[/:]/g, '_'),
      source: { registry: 'registry.ci.openshift.org', repository: 'ocp/4.5', tag: undefined, digest },
      ...(isDistributed && {
        distributed: {
          imageStreamTag: { namespace: 'ocp', name: '4.5', tag: 'cli' },
          setAt: Date.parse('2026-05-01T00:00:00Z'),
        },
      }),
    })
    const cli = imageOf('ocp/4.5:cli', true)
    const desired = { images: [cli, imageOf('a/b:c', false)], leftOut: [] }
    const [found] = await mirror.pass(desired)
    t.match(found, { state: 'different', isStale: true })
    await mirror.queue.idle()
    t.match(
      events.find(({ what }) => what === 'unsuitable'),
      {
        image: { target: 'ocp/4.5:cli' },
        form: 'invalid manifest v2',
        reason: /a layer of the type .*diff\.tar/,
      },
    )
    t.equal(stored.tags.get('a_b_c'), odd.digest, 'somebody has named this one')
    t.not(stored.tags.get('ocp_4.5_cli'), odd.digest)
    registry.requests.length = 0
    const again = await mirror.pass(desired)
    t.match(again, [{ state: 'left out', reason: /not gzip/ }, { state: 'same' }])
    t.equal(registry.requests.length, 3)
    await mirror.pass({
      images: [imageOf('ocp/4.5:cli', true, putImage(source, 'good').digest)],
      leftOut: [],
    })
    await mirror.queue.idle()
    t.equal(events.filter(({ what }) => what === 'copied').length, 2)
    await mirror.pass({ images: [], leftOut: [] })
  },
)

await t.test('without the rule, the same image is copied with its digest', async (t) => {
  const { registry, mirror, stored } = await started(t, { onlyGzipLayers: false })
  const { digest } = putUncompressed(registry.repository('ocp/4.5'), 'odd')
  const image: DesiredImage = {
    target: 'ocp/4.5:cli',
    float: 'ocp_4.5_cli',
    source: { registry: 'registry.ci.openshift.org', repository: 'ocp/4.5', tag: undefined, digest },
    distributed: { imageStreamTag: { namespace: 'ocp', name: '4.5', tag: 'cli' }, setAt: undefined },
  }
  await mirror.pass({ images: [image], leftOut: [] })
  t.match(mirror.queue.list(), [
    { owner: 'quay_io_ci_images_distributor', distributed: { replaced: undefined } },
  ])
  await mirror.queue.idle()
  t.equal(stored.tags.get('ocp_4.5_cli'), digest)
})

await t.test('a comparison of an older list puts nothing into the queue', async (t) => {
  const { registry, mirror, events, stored } = await started(t)
  const source = registry.repository('ocp/4.5')
  const [older, newer] = ['older', 'newer'].map((name): DesiredImage => ({
    target: 'ocp/4.5:cli',
    float: 'ocp_4.5_cli',
    source: {
      registry: 'quay.io',
      repository: 'ocp/4.5',
      tag: undefined,
      digest: putImage(source, name).digest,
    },
  })) as [DesiredImage, DesiredImage]
  let isFirst = true
  registry.fault = () => {
    if (isFirst) mirror.desire({ images: [newer], leftOut: [] })
    isFirst = false
    return undefined
  }
  const found: string[] = []
  await mirror.pass({ images: [older], leftOut: [] }, { found: ({ state }) => found.push(state) })
  await mirror.queue.idle()
  t.strictSame([found, events], [[], []])
  await mirror.pass({ images: [newer], leftOut: [] })
  await mirror.queue.idle()
  t.equal(stored.tags.get('ocp_4.5_cli'), newer.source.digest)
})

await t.test('attack: a late comparison with a former source puts nothing into the queue', async (t) => {
  const { registry, mirror, events, stored } = await started(t)
  for (const name of ['one', 'two'])
    tag(registry.repository(name), 'v1', putImage(registry.repository(name), name))
  let isChanged = false
  registry.fault = ({ path }) => {
    // The configuration changes while the first source is read.
    if (!isChanged && path.includes('/one/')) mirror.desire(desiredOf({ 'a/b:c': 'quay.io/two:v1' }))
    isChanged ||= path.includes('/one/')
    return undefined
  }
  await mirror.pass(desiredOf({ 'a/b:c': 'quay.io/one:v1' }))
  await mirror.queue.idle()
  t.ok(isChanged)
  t.strictSame(events, [])
  t.strictSame([...stored.tags], [])
})

await t.test('an image that needs no copy any more leaves the queue, unless it cannot be read', async (t) => {
  const { registry, mirror, stored } = await started(t)
  const desired = desiredOf({ 'a/b:c': 'quay.io/team/x:v1' })
  const original = registry.repository('team/x')
  const [old, fresh] = [putImage(original, 'old'), putImage(original, 'fresh')]
  putImage(stored, 'old')
  tag(stored, 'a_b_c', old)
  tag(original, 'v1', fresh)
  registry.fault = ({ method }) => (method === 'POST' ? { status: 403 } : undefined)
  await mirror.pass(desired)
  await mirror.queue.idle()
  t.match(mirror.queue.list(), [{ state: 'dead', digest: fresh.digest }])
  registry.fault = () => ({ status: 403 })
  t.match(await mirror.pass(desired), [{ state: 'unreadable' }])
  t.equal(mirror.queue.list().length, 1)
  // The source goes back to the image that QCI has.
  tag(original, 'v1', old)
  registry.fault = () => undefined
  t.match(await mirror.sync('a/b:c'), { state: 'same' })
  t.strictSame(mirror.queue.list(), [])
  t.equal(stored.tags.get('a_b_c'), old.digest)
})

await t.test('one image can be compared and copied now', async (t) => {
  const { registry, mirror, stored } = await started(t)
  const desired = desiredOf({ 'a/b:c': 'quay.io/team/x:v1' })
  t.equal(await mirror.sync('a/b:c'), undefined)
  mirror.desire(desired)
  tag(registry.repository('team/x'), 'v1', putImage(registry.repository('team/x'), 'x'))
  t.match(await mirror.sync('a/b:c'), { state: 'different' })
  await mirror.queue.idle()
  t.ok(stored.tags.has('a_b_c'))
  registry.fault = () => {
    mirror.desire({ images: [], leftOut: [] })
    return undefined
  }
  t.equal(await mirror.sync('a/b:c'), undefined, 'it left the list while it was compared')
})

await t.test(
  'a signature that comes after its image arrives within three passes, and costs nothing elsewhere',
  async (t) => {
    const { registry, mirror, events, stored } = await started(t, {
      hasAttachments: (name) => name === 'a/b:c',
    })
    const source = registry.repository('team/x')
    const image = putImage(source, 'x')
    tag(source, 'v1', image)
    const desired = desiredOf({ 'a/b:c': 'quay.io/team/x:v1', 'a/b:d': 'quay.io/team/x:v1' })
    const pass = async () => {
      await mirror.pass(desired)
      await mirror.queue.idle()
    }
    await pass()
    t.equal(events.length, 2)
    registry.requests.length = 0
    await pass()
    t.equal(events.length, 2)
    t.ok(registry.requests.length <= 4 + 3, `${registry.requests.length} requests for two images`)
    const signature = `${image.digest.replace(':', '-')}.sig`
    tag(source, signature, putImage(source, 'signature'))
    for (let passes = 0; passes < 3; passes++) await pass()
    t.equal(stored.tags.get(signature), source.tags.get(signature))
    t.equal(events.length, 3)
    for (let passes = 0; passes < 3; passes++) await pass()
    t.equal(events.length, 3, 'it is copied once')
    t.notOk([...stored.tags.keys()].some((name) => name.includes('_prune_')))
  },
)
