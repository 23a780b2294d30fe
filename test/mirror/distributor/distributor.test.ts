import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { Distributor, type DistributorEvent } from '../../../src/mirror/distributor/distributor.ts'
import type { DistributorOptions } from '../../../src/mirror/distributor/distributor-options.ts'
import { externalImages } from '../../../src/mirror/plan/desired-source.ts'
import { promotedBy } from '../../../src/sandbox/app-ci/image-streams.ts'
import { hex, startApi } from '../../kubernetes/watching.ts'
import { until } from '../../support/until.ts'
import { fastClock } from '../registry/clients.ts'
import { configOf, supplemental } from '../validation/entries.ts'

const config = configOf(supplemental({ 'a/b:c': 'quay.io/a/b:c', 'ocp/4.5:listed': 'quay.io/a/b:d' }))
const never = new AbortController().signal

const started = async (test: Test, change: Partial<DistributorOptions> = {}) => {
  const { api, kubeConfig, imageStreams } = await startApi(test)
  const folder = test.testdir({ 'ci-operator': { config: {}, 'step-registry': {} } })
  const uses = (...tags: readonly string[]) => {
    const images = tags.map((tag) => `${tag}: {namespace: ocp, name: '4.5', tag: ${tag}}`)
    mkdirSync(join(folder, 'ci-operator/config'), { recursive: true })
    writeFileSync(join(folder, 'ci-operator/config/x.yaml'), `base_images: {${images.join()}}`)
  }
  const events: DistributorEvent[] = []
  const changes: string[][] = []
  const distributor = new Distributor({
    base: externalImages,
    kubeConfig,
    options: {
      additionalTags: new Set(),
      additionalStreams: new Set(),
      additionalNamespaces: new Set(),
      ignoredTags: new Set(),
      onlyValidManifests: true,
      releaseRepository: folder,
      ...change,
    },
    clock: fastClock,
    observe: (event) => events.push(event),
    retryMs: 2,
  })
  test.teardown(async () => await distributor.close())
  const start = async () => await distributor.start((targets) => changes.push([...targets].toSorted()))
  const countOf = (what: DistributorEvent['what']) => events.filter((event) => event.what === what).length
  const targets = () =>
    distributor
      .latest(config)
      ?.images.map(({ target, source }) => `${target} ${source.digest?.[7] ?? source.tag}`)
  const put = (name: string, tags: Readonly<Record<string, string>>, namespace = 'ocp') =>
    imageStreams.put({
      namespace,
      name,
      tags: Object.fromEntries(Object.entries(tags).map(([tag, letter]) => [tag, [hex(letter)]])),
    })
  return { api, imageStreams, distributor, events, changes, start, countOf, targets, put, uses }
}

await t.test('tags that tests use are listed, watched, and reported when they change', async (t) => {
  const { imageStreams, distributor, changes, start, countOf, targets, put, uses } = await started(t)
  uses('cli', 'listed', 'promoted')
  put('4.5', { cli: 'a', other: 'b', listed: 'c' })
  put('4.6', { cli: 'd' })
  t.equal(distributor.latest(config), undefined)
  t.equal(distributor.isWhole(), false)
  t.equal(distributor.problem(), 'the checkout of openshift/release cannot be read: it was not read yet')
  await start()
  t.equal(distributor.problem(), undefined)
  await until(() => countOf('listed') === 1 && imageStreams.watching === 1)
  t.equal(distributor.isWhole(), true)
  t.match(distributor.counts(), { tags: 2 })
  await until(() => changes.length === 1)
  t.strictSame(changes, [['ocp/4.5:cli', 'ocp/4.5:listed']])
  const reading = await distributor.read(config, never)
  t.equal(reading.problem, undefined)
  t.strictSame(targets(), ['a/b:c c', 'ocp/4.5:listed d', 'ocp/4.5:cli a'])
  t.match(reading.leftOut, [{ target: 'ocp/4.5:listed', reason: 'the configuration has it, which wins' }])
  put('4.5', { cli: 'e', other: 'f', listed: 'c' })
  await until(() => changes.length === 2)
  t.strictSame(changes[1], ['ocp/4.5:cli'])
  t.strictSame(targets()?.at(-1), 'ocp/4.5:cli e')
  imageStreams.put({
    namespace: 'ocp',
    name: '4.5',
    tags: { cli: [hex('e')], promoted: [promotedBy(hex('a'))] },
  })
  await until(() => changes.length === 3)
  t.strictSame(
    targets(),
    ['a/b:c c', 'ocp/4.5:listed d', 'ocp/4.5:cli e'],
    'a tag that refers to QCI is not copied',
  )
  imageStreams.delete('ocp', '4.5')
  await until(() => changes.length === 4)
  t.strictSame(targets(), ['a/b:c c', 'ocp/4.5:listed d'])
  t.equal(imageStreams.requests.pages, 1)
})

await t.test('a test that uses another tag brings it, and one that is gone takes it', async (t) => {
  const { distributor, start, countOf, targets, put, uses } = await started(t)
  put('4.5', { cli: 'a', base: 'b' })
  uses('cli')
  await start()
  await distributor.read(config, never)
  await until(() => targets()?.at(-1) === 'ocp/4.5:cli a')
  uses('base')
  distributor.reload()
  await until(() => targets()?.at(-1) === 'ocp/4.5:base b')
  t.equal(targets()?.length, 3)
  distributor.reload()
  await until(() => countOf('checkout read') === 3)
  t.equal(countOf('listed'), 2, 'of the same inputs, nothing is listed again')
})

await t.test(
  'flags name tags, ImageStreams and namespaces; without a checkout, tests do not count',
  async (t) => {
    const { distributor, start, targets, put, countOf } = await started(t, {
      releaseRepository: undefined,
      additionalTags: new Set(['ocp/4.5:cli']),
      additionalStreams: new Set(['ocp/4.6']),
      additionalNamespaces: new Set(['rhcos']),
      ignoredTags: new Set(['rhcos/x:old']),
    })
    put('4.5', { cli: 'a', base: 'b' })
    put('4.6', { cli: 'a', base: 'b' })
    put('x', { old: 'a', new: 'b' }, 'rhcos')
    await start()
    await until(() => countOf('listed') === 1)
    await distributor.read(config, never)
    t.strictSame(targets()?.slice(2).toSorted(), [
      'ocp/4.5:cli a',
      'ocp/4.6:base b',
      'ocp/4.6:cli a',
      'rhcos/x:new b',
    ])
    t.equal(distributor.isWhole(), true)
    t.match(distributor.verdictOf('rhcos/x:old'), /ignore-image-stream-tag names it/)
    t.match(distributor.verdictOf('ocp/4.5:base'), /no filter of the controller selects it/)
    t.equal(distributor.verdictOf('nonsense'), undefined)
    distributor.reload()
  },
)

await t.test('failures are reported, and tried again', async (t) => {
  const { api, distributor, events, start, countOf, put } = await started(t, {
    releaseRepository: '/nothing',
  })
  put('4.5', { cli: 'a' })
  api.fault({ kind: 'status', status: 500 })
  await start()
  await until(() => countOf('watch failed') >= 2)
  t.match(events.slice(0, 2), [
    { what: 'checkout failed', error: /ENOENT/ },
    { what: 'watch failed', failure: 'list', error: /500/ },
  ])
  t.equal(distributor.isWhole(), false)
  api.fault({ kind: 'none' })
  await until(() => countOf('listed') === 1)
  t.equal(distributor.isWhole(), false, 'the checkout is still missing')
  const base = { read: async () => ({ images: [], leftOut: [], problem: 'app.ci is slow' }) }
  const { kubeConfig } = await startApi(t)
  const options: DistributorOptions = {
    additionalTags: new Set(),
    additionalStreams: new Set(),
    additionalNamespaces: new Set(),
    ignoredTags: new Set(),
    onlyValidManifests: true,
    releaseRepository: undefined,
  }
  const other = new Distributor({ base, kubeConfig, options, clock: fastClock, observe: () => undefined })
  t.strictSame(await other.read(config, never), { images: [], leftOut: [], problem: 'app.ci is slow' })
  await other.close()
})

await t.test('after a close, no watch begins and nothing is reported', async (t) => {
  const { imageStreams, distributor, changes, start, put } = await started(t, {
    additionalNamespaces: new Set(['ocp']),
  })
  put('4.5', { cli: 'a' })
  const starting = start()
  await distributor.close()
  await starting
  t.equal(imageStreams.requests.pages, 0)
  const other = await started(t, { releaseRepository: undefined, additionalNamespaces: new Set(['ocp']) })
  other.put('4.5', { cli: 'a' })
  await other.start()
  await until(() => other.countOf('listed') === 1)
  await other.distributor.close()
  await new Promise((resolve) => setTimeout(resolve, 30))
  t.strictSame([changes, other.changes], [[], []])
})
