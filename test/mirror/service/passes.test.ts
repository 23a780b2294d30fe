import t from 'tap'
import type { Test } from 'tap'
import { Mirror } from '../../../src/mirror/mirror.ts'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import {
  externalImages,
  type DesiredSource,
  type SourceWatch,
} from '../../../src/mirror/plan/desired-source.ts'
import { Registries } from '../../../src/mirror/registry/registries.ts'
import { Passes, type PassEvent } from '../../../src/mirror/service/passes.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { startPushableRegistry } from '../../support/pushable-registry.ts'
import { until } from '../../support/until.ts'
import { fastClock } from '../registry/clients.ts'
import { configOf, supplemental } from '../validation/entries.ts'

const started = async (test: Test, source: DesiredSource, intervalMs: number, copies = true) => {
  const registry = await startPushableRegistry(test)
  tag(registry.repository('a/b'), 'c', putImage(registry.repository('a/b'), 'x'))
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: () => undefined,
    originOf: () => registry.origin,
    rate: { perSecond: 1e6, burst: 1000 },
    clock: fastClock,
  })
  const mirror = new Mirror({
    registries,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    clock: fastClock,
    observe: (event) => {
      if (event.what === 'copied') passes.copied(event.target, event.digest)
      if (event.what === 'failed') passes.failed(event.status.target)
    },
  })
  const events: PassEvent[] = []
  const passes = new Passes({
    mirror,
    source,
    config: () => configOf(supplemental({ 'a/b:c': 'quay.io/a/b:c' })),
    intervalMs,
    clock: fastClock,
    copies,
    observe: (event) => events.push(event),
  })
  test.teardown(async () => {
    await passes.stop()
    await mirror.queue.stop()
    await registries.close()
  })
  const countOf = (what: PassEvent['what']) => events.filter((event) => event.what === what).length
  return { registry, mirror, passes, events, countOf }
}

await t.test('a pass at each interval, until the end', async (t) => {
  const { passes, countOf, events } = await started(t, externalImages, 100)
  t.equal(passes.isActive(), false)
  passes.restart()
  t.equal(passes.isActive(), true)
  await until(() => countOf('passed') >= 3)
  await passes.stop()
  t.equal(passes.isActive(), false)
  const { length } = events
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(events.length, length)
})

await t.test('a change ends a running pass early, and a new one begins', async (t) => {
  const hanging = Promise.withResolvers<void>()
  let reads = 0
  const source: DesiredSource = {
    read: async (config, signal) => {
      if (reads++ === 0) await hanging.promise
      return await externalImages.read(config, signal)
    },
  }
  const { passes, countOf } = await started(t, source, 1e9)
  passes.restart()
  await until(() => reads === 1)
  passes.restart()
  passes.restart()
  hanging.resolve()
  await until(() => countOf('passed') === 1)
  t.equal(reads, 2, 'those between began nothing')
  t.equal(countOf('desired'), 1)
})

await t.test('a change during a comparison', async (t) => {
  const { passes, registry, countOf } = await started(t, externalImages, 1e9)
  let isFirst = true
  registry.fault = () => {
    if (isFirst) passes.restart()
    isFirst = false
    return undefined
  }
  passes.restart()
  await until(() => countOf('passed') === 1)
  t.equal(countOf('desired'), 2)
})

await t.test('a failed pass is logged, unless a change ended it', async (t) => {
  const hanging = Promise.withResolvers<void>()
  let reads = 0
  const source: DesiredSource = {
    read: async () => {
      if (reads++ === 0) await hanging.promise
      throw new Error('a mistake')
    },
  }
  const { passes, events, countOf } = await started(t, source, 1e9)
  passes.restart()
  await until(() => reads === 1)
  passes.restart()
  hanging.resolve()
  await until(() => countOf('failed') === 1)
  t.equal(reads, 2)
  t.match(events, [{ what: 'failed', error: { message: 'a mistake' } }])
})

await t.test('a change during the first pass is compared before the rest', async (t) => {
  const names = Array.from({ length: 60 }, (_, index) => `a/t${index}:v1`)
  const configs = [names, [...names, 'a/new:v1'], [...names, 'a/new:v1', 'a/newer:v1']].map((targets) =>
    configOf(supplemental(Object.fromEntries(targets.map((target) => [target, 'quay.io/a/b:c'])))),
  )
  const source: DesiredSource = {
    read: async (_config, signal) =>
      await externalImages.read(configs[Math.min(countOf('desired'), 2)] as (typeof configs)[0], signal),
  }
  const { passes, registry, events, countOf } = await started(t, source, 1e9)
  registry.fault = () => {
    if (countOf('passed') === 0 && countOf('desired') < 3) passes.restart()
    return undefined
  }
  passes.restart()
  await until(() => countOf('passed') === 1)
  const firsts = events.flatMap((event) =>
    event.what === 'desired' ? [event.desired.images[0]?.target] : [],
  )
  t.strictSame(firsts, ['a/t0:v1', 'a/new:v1', 'a/newer:v1'])
})

await t.test('an image that the watch reports is compared at once, but only while passes run', async (t) => {
  const digests = new Map<string, Digest>()
  const listOf = () => ({
    images: [...digests].map(([name, digest]): DesiredImage => ({
      target: `ocp/4.5:${name}`,
      float: `ocp_4.5_${name}`,
      source: { registry: 'registry.ci.openshift.org', repository: 'a/b', tag: undefined, digest },
      distributed: { imageStreamTag: { namespace: 'ocp', name: '4.5', tag: name }, setAt: undefined },
    })),
    leftOut: [],
  })
  let isRead = false
  const watch = { latest: () => (isRead ? listOf() : undefined) } as Partial<SourceWatch> as SourceWatch
  const source: DesiredSource = {
    read: async () => {
      isRead = true
      return listOf()
    },
    watch,
  }
  const { passes, registry, mirror, countOf, events } = await started(t, source, 1e9)
  const repository = registry.repository('a/b')
  const stored = registry.repository('openshift/ci')
  const set = (name: string, text: string) => digests.set(name, putImage(repository, text).digest)
  set('cli', 'one')
  passes.refresh(new Set(['ocp/4.5:cli']))
  t.strictSame(events, [], 'another replica has the lease')
  passes.restart()
  passes.refresh(new Set(['ocp/4.5:cli']))
  await until(() => countOf('passed') === 1)
  await until(() => stored.tags.get('ocp_4.5_cli') === digests.get('cli'))
  set('base', 'two')
  set('cli', 'three')
  set('other', 'four')
  const requests = registry.requests.length
  passes.refresh(new Set(['ocp/4.5:base', 'ocp/4.5:cli', 'ocp/4.5:gone']))
  await until(() => stored.tags.get('ocp_4.5_base') === digests.get('base'))
  await until(() => stored.tags.get('ocp_4.5_cli') === digests.get('cli'))
  await mirror.queue.idle()
  t.notOk(stored.tags.has('ocp_4.5_other'))
  t.ok(registry.requests.length > requests)
  t.equal(countOf('passed'), 1)
  digests.delete('cli')
  passes.refresh(new Set(['ocp/4.5:cli']))
  await until(() => events.at(-1)?.what === 'desired')
  passes.refresh(new Set(['ocp/4.5:base']))
  passes.restart()
  await until(() => countOf('passed') === 2)
})

await t.test('the many changes of a list wait for the pass that runs', async (t) => {
  const names = Array.from({ length: 300 }, (_, index) => `t${index}`)
  const listed = externalImages.read(
    configOf(supplemental({ 'a/b:c': 'quay.io/a/b:c' })),
    AbortSignal.abort(),
  )
  const distributed = names.map((name): DesiredImage => ({
    target: `ocp/4.5:${name}`,
    float: `ocp_4.5_${name}`,
    source: { registry: 'registry.ci.openshift.org', repository: 'ocp/4.5', tag: name, digest: undefined },
    distributed: { imageStreamTag: { namespace: 'ocp', name: '4.5', tag: name }, setAt: undefined },
  }))
  const { images } = await listed
  const latest = () => ({ images: [...images, ...distributed], leftOut: [] })
  const source: DesiredSource = {
    read: async () => await listed,
    watch: { latest } as Partial<SourceWatch> as SourceWatch,
  }
  const { passes, registry, countOf, events } = await started(t, source, 1e9)
  passes.restart()
  let isTold = false
  registry.fault = () => {
    if (!isTold) passes.refresh(new Set(distributed.map(({ target }) => target)))
    isTold = true
    return undefined
  }
  await until(() => countOf('found') === 301)
  const order = events.map(({ what }) => what)
  t.ok(order.indexOf('passed') < order.lastIndexOf('desired'))
})

await t.test('a mistake in what the watch reports is told, and ends nothing', async (t) => {
  const latest = () => {
    throw new Error('a mistake')
  }
  const watch = { latest } as Partial<SourceWatch> as SourceWatch
  const { passes, events, countOf } = await started(t, { ...externalImages, watch }, 1e9)
  passes.restart()
  passes.refresh(new Set(['a/b:c']))
  await until(() => countOf('failed') === 1 && countOf('passed') === 1)
  t.match(
    events.find(({ what }) => what === 'failed'),
    { error: { message: 'a mistake' } },
  )
})

await t.test('a dry run compares, and puts nothing into the queue', async (t) => {
  const { passes, mirror, countOf } = await started(t, externalImages, 1e9, false)
  passes.restart()
  await until(() => countOf('passed') === 1)
  t.equal(countOf('found'), 1)
  t.strictSame(mirror.queue.list(), [])
})

await t.test('changes that wait for a pass are not read after the end', async (t) => {
  let reads = 0
  const watch: Partial<SourceWatch> = {
    latest: () => {
      reads += 1
      return undefined
    },
  }
  const source: DesiredSource = { read: externalImages.read, watch: watch as SourceWatch }
  const { passes } = await started(t, source, 1e9)
  passes.restart()
  passes.refresh(new Set(Array.from({ length: 300 }, (_, index) => `ocp/4.5:t${index}`)))
  await passes.stop()
  t.equal(reads, 0)
})

await t.test('an image of unknown age is replaced if the mirror has brought it', async (t) => {
  let digest: Digest | undefined
  const image = (): DesiredImage => ({
    target: 'a/b:w',
    float: 'a_b_w',
    source: { registry: 'quay.io', repository: 'a/b', tag: undefined, digest },
    distributed: { imageStreamTag: { namespace: 'a', name: 'b', tag: 'w' }, setAt: Date.UTC(2026, 0) },
  })
  const source: DesiredSource = { read: async () => ({ images: [image()], leftOut: [] }) }
  const { registry, passes, events, countOf } = await started(t, source, 1e9)
  const stored = registry.repository('openshift/ci')
  const move = (name: string) => {
    digest = putImage(registry.repository('a/b'), name).digest
    passes.restart()
  }
  for (const [index, name] of ['one', 'two'].entries()) {
    move(name)
    await until(() => stored.tags.get('a_b_w') === digest && countOf('passed') === index + 1)
  }
  const promoted = putImage(stored, 'promoted')
  tag(stored, 'a_b_w', promoted)
  move('three')
  await until(() => countOf('passed') === 3)
  t.equal(stored.tags.get('a_b_w'), promoted.digest)
  t.not(passes.commonOf('a/b:w'), promoted.digest)
  t.match(events.at(-2), { finding: { state: 'left out', reason: /does not say when it was built/ } })
})

await t.test('an image of the watch whose copy has failed is compared in the next pass', async (t) => {
  const image: DesiredImage = {
    target: 'a/b:w',
    float: 'a_b_w',
    source: { registry: 'quay.io', repository: 'a/b', tag: 'c', digest: undefined },
    distributed: { imageStreamTag: { namespace: 'a', name: 'b', tag: 'w' }, setAt: 0 },
  }
  const source: DesiredSource = { read: async () => ({ images: [image], leftOut: [] }) }
  const { registry, mirror, passes, countOf } = await started(t, source, 1e9)
  registry.fault = ({ method }) => (method === 'POST' ? { status: 403 } : undefined)
  passes.restart()
  await until(() => countOf('passed') === 1)
  await mirror.queue.idle()
  passes.restart()
  await until(() => countOf('passed') === 2)
  t.equal(countOf('found'), 2)
})
