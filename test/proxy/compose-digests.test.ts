import { Registry } from 'prom-client'
import type { Test } from 'tap'
import t from 'tap'
import type { Fact } from '../../src/digests/facts.ts'
import type { IndexState } from '../../src/digests/restricted-index/index-state.ts'
import { composeDigests, type ComposeDigestsOptions } from '../../src/proxy/compose-digests.ts'
import type { DigestUpstream } from '../../src/proxy/digest-upstream.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { parseRepository, type Digest, type QciTag } from '../../src/oci/reference.ts'
import { digestOf, isPrivate, locate } from '../digests/fixtures.ts'
import { FakeUpstream } from '../digests/restricted-index/upstream.ts'
import { startApi } from '../kubernetes/watching.ts'
import { until } from '../support/until.ts'

const restricted = 'ocp-priv_4.15_base' as QciTag
const [image, layer] = [digestOf(restricted), digestOf(`layer ${restricted}`)]
const names = { manifests: [], blobs: [layer] }

const create = async (
  test: Test,
  options: Partial<ComposeDigestsOptions> = {},
  tags: readonly string[] = [restricted],
) => {
  const started = await startApi(test)
  const lines: Record<string, unknown>[] = []
  const metrics = createMetrics(new Registry())
  const published: Fact[] = []
  const shared: { state: IndexState | undefined; isInTouch: boolean } = { state: undefined, isInTouch: true }
  const known = composeDigests({
    imageStreams: 'off',
    restrictedIndex: 'off',
    restrictedIndexIntervalMs: 5,
    restrictedNamespaces: ['*-priv'],
    kubeConfig: started.kubeConfig,
    isRestricted: isPrivate,
    locate,
    monorepos: ['quay.io/openshift/ci'],
    shared: {
      facts: {
        isCertain: () => true,
        publish: async (facts) => void published.push(...facts),
        catchUp: async () => shared.isInTouch,
      },
      index: {
        read: async () => shared.state,
        write: async (state) => {
          shared.state = state
          return true
        },
        tryLead: async () => true,
      },
    },
    logger: createLogger('debug', { write: (line) => void lines.push(JSON.parse(line) as never) }),
    metrics,
    ...options,
  })
  test.teardown(async () => await known.close())
  const fake = new FakeUpstream(tags, 'bytes')
  const asked: string[] = []
  const learn = async (reference: QciTag | Digest, who: string) => {
    asked.push(`${who} ${reference}`)
    const digest = await fake.fetchManifest(reference)
    if (digest !== undefined && !reference.includes(':'))
      await known.record(reference as QciTag, digest, fake.graph.childrenOf(digest))
    return digest
  }
  const upstream: DigestUpstream = {
    fetchManifest: learn,
    fetchPage: fake.fetchPage,
    fetchManifestInBackground: async (reference) => await learn(reference, 'background'),
    fetchPageInBackground: fake.fetchPage,
  }
  const search = {
    repository: parseRepository('openshift', 'ci', 'openshift/ci'),
    requester: 'alice',
    mayPull: async () => true,
  }
  return {
    ...started,
    known,
    upstream,
    fake,
    asked,
    lines,
    published,
    shared,
    search,
    scrape: async () => await metrics.registry.metrics(),
  }
}

await t.test('off: only recorded facts are known, and no request is sent', async (test) => {
  const { known, imageStreams, scrape, published, search } = await create(test)
  known.start()
  test.strictSame([known.notReady(), known.status()], [[], []])
  await known.record(restricted, image, names)
  test.match(known.knowledge.reachOf(layer), {
    isRestricted: true,
    imageStreams: [{ namespace: 'ocp-priv' }],
  })
  test.equal(published.length, 2)
  await known.record(undefined, digestOf('untagged'), names)
  test.strictSame(
    known.knowledge.parentsOf(layer),
    [],
    'attack: what nobody has seen opens nothing without an index',
  )
  test.strictSame([known.knowledge.isClaimed(image), known.knowledge.hasFollowedLive()], [false, true])
  test.strictSame(await known.lookFurther(image, search), { hasNewFacts: false, isCertain: true })
  await known.close()
  test.strictSame(imageStreams.requests, { pages: 0, watches: 0 })
  test.match(await scrape(), /quay_proxy_restricted_digests 2\n[^]*quay_proxy_restricted_index_complete 1\n/)
  test.notMatch(await scrape(), 'watched')
})

await t.test(
  'the index: not ready before its live tags are known, with its progress in the status',
  async (test) => {
    const { known, upstream, lines, asked, fake, scrape } = await create(test, { restrictedIndex: 'on' }, [
      restricted,
      `sha256-${digestOf('open').slice(7)}.sig`,
    ])
    test.strictSame(known.notReady(), ['the index of restricted images is not complete yet'])
    test.match(known.status(), [
      /restricted index: not complete; phase idle, 0 pages of tags read, 0 tags followed/,
    ])
    known.start()
    await until(() => lines.some(({ level }) => level === 'warn'))
    test.match(
      lines.find(({ level }) => level === 'warn'),
      { msg: /retrying/, err: { message: /not connected/ } },
    )
    known.connect(upstream)
    let isLive = false
    fake.before = () => {
      isLive ||= known.status()[0]?.includes('live tags followed') === true
    }
    await until(
      () => known.notReady().length === 0 && known.status()[0]?.includes('all tags followed') === true,
    )
    test.ok(isLive)
    test.strictSame(asked, [`background ${restricted}`])
    test.match(await scrape(), /quay_proxy_restricted_tags_followed 1\n/)
    test.equal(known.knowledge.hasFollowedLive(), true)
    test.match(known.knowledge.reachOf(layer), { isRestricted: true })
    test.strictSame(known.knowledge.parentsOf(layer), [])
    await known.record(undefined, digestOf('untagged'), names)
    test.strictSame(known.knowledge.parentsOf(layer), [digestOf('untagged')])
    test.match(
      lines.find(({ msg, hasFollowedAll }) => msg === 'restricted index' && hasFollowedAll === true),
      { followed: 1 },
    )
  },
)

await t.test(
  'a restart while upstream fails: ready with the stored state, and unknown digests stay closed',
  async (test) => {
    const { known, shared } = await create(test, { restrictedIndex: 'on' })
    shared.state = {
      liveCompleteAt: Date.now() - 3600_000,
      datedCompleteAt: undefined,
      datedSeenUpTo: '',
      namespaces: ['ocp-priv'],
      hasUnread: true,
      patterns: '*-priv',
    }
    test.equal(known.knowledge.mayBeUnread(layer), false)
    known.start()
    await until(() => known.notReady().length === 0)
    test.equal(known.knowledge.mayBeUnread(layer), true)
    await known.record('ocp_4.15_base' as QciTag, image, names)
    test.equal(known.knowledge.mayBeUnread(layer), false, 'a tag has reached it')
    test.match(known.status(), [/^restricted index: of the last start, because upstream fails; phase live/])
    test.equal(known.knowledge.hasFollowedLive(), false)
  },
)

await t.test(
  'the tag list fails for an hour: unknown digests are closed, and the proxy stays ready',
  async (test) => {
    const { now } = Date
    let laterMs = 0
    Date.now = () => now() + laterMs
    test.teardown(() => {
      Date.now = now
    })
    const { known, upstream, scrape } = await create(test, { restrictedIndex: 'on' })
    known.connect(upstream)
    known.start()
    await until(() => known.status()[0]?.includes('all tags followed') === true)
    known.connect({
      ...upstream,
      fetchPageInBackground: async () => await Promise.reject(new Error('503')),
    })
    laterMs = 3600_000
    // A round that began before may end now.
    await until(() => {
      if (known.knowledge.hasFollowedLive()) laterMs += 3600_000
      return !known.knowledge.hasFollowedLive()
    })
    test.strictSame(known.notReady(), [])
    test.match(known.status(), [/^restricted index: outdated, because upstream fails; /])
    test.match(await scrape(), /quay_proxy_restricted_index_complete 0\n/)
    known.connect(upstream)
    await until(() => known.knowledge.hasFollowedLive())
  },
)

await t.test('looking further before upstream is connected is an error', async (test) => {
  const { known, search, upstream } = await create(test)
  const repository = parseRepository('ocp-priv', '4.15', 'openshift/ci')
  await test.rejects(known.lookFurther(image, { ...search, repository }), { message: /not connected/ })
  known.connect(upstream)
  test.match(await known.lookFurther(image, { ...search, repository }), { hasNewFacts: true })
  test.match(known.knowledge.reachOf(image), { isRestricted: true })
})

await t.test(
  'a restricted claim closes a digest until it is checked; a namespace without tags in QCI closes nothing',
  async (test) => {
    const other = digestOf('other')
    const { known, imageStreams, upstream, search, asked } = await create(test, {
      imageStreams: 'watch',
      restrictedIndex: 'on',
    })
    imageStreams.put({ namespace: 'mallory-priv', name: 'x', tags: { base: [other] } })
    known.connect(upstream)
    known.start()
    await until(
      () => known.notReady().length === 0 && known.status()[0]?.includes('all tags followed') === true,
    )
    test.equal(known.knowledge.isClaimed(other), false)
    imageStreams.put({ namespace: 'ocp', name: '4.15', tags: { open: [digestOf('open')] } })
    imageStreams.put({ namespace: 'ocp-priv', name: '4.15', tags: { base: [other, image] } })
    await until(() => known.knowledge.isClaimed(other))
    await until(() => asked.filter((line) => line === `background ${restricted}`).length === 2)
    test.equal(known.knowledge.isClaimed(other), true, 'what was followed does not refute it')
    test.match(await known.lookFurther(other, search), { hasNewFacts: true })
    test.ok(asked.includes(`alice ${restricted}`))
    test.equal(known.knowledge.isClaimed(other), false, 'checked')
  },
)

await t.test(
  'without the index, a claim of any restricted namespace closes a digest until it is checked',
  async (test) => {
    const other = digestOf('other')
    const { known, imageStreams, upstream, search } = await create(test, { imageStreams: 'watch' })
    imageStreams.put({ namespace: 'ocp-priv', name: '4.15', tags: { base: [other] } })
    known.connect(upstream)
    known.start()
    await until(() => known.knowledge.isClaimed(other))
    await known.lookFurther(other, search)
    test.equal(known.knowledge.isClaimed(other), false)
  },
)

await t.test('a claim that cannot be followed is logged at debug', async (test) => {
  const { known, imageStreams, upstream, lines, fake } = await create(test, {
    imageStreams: 'watch',
    restrictedIndex: 'on',
  })
  known.connect(upstream)
  known.start()
  await until(
    () => known.notReady().length === 0 && known.status()[0]?.includes('all tags followed') === true,
  )
  let isAsked = false
  fake.before = (_what, kind) => {
    if (kind !== 'manifest') return
    isAsked = true
    throw new Error('503')
  }
  imageStreams.put({ namespace: 'ocp-priv', name: '4.15', tags: { base: [digestOf('other')] } })
  await until(() => isAsked)
  await known.close()
  await until(() => lines.some(({ msg }) => /stopped to follow/.test(String(msg))))
  test.match(
    lines.find(({ msg }) => /stopped to follow/.test(String(msg))),
    { level: 'debug' },
  )
})

await t.test('a refusal is not certain while the facts of other replicas cannot be read', async (test) => {
  const { known, shared, search } = await create(test)
  shared.isInTouch = false
  test.strictSame(await known.lookFurther(image, search), { hasNewFacts: false, isCertain: false })
})

await t.test('a restricted namespace with too many digests is logged as an error', async (test) => {
  const { known, lines } = await create(test, { maxDigestsPerNamespace: 20_000 })
  for (let number = 0; number < 11; number++)
    await known.record(restricted, digestOf(`wide ${number}`), {
      manifests: [],
      blobs: Array.from(
        { length: 2000 },
        (_, blob) => `sha256:${(number * 2000 + blob).toString(16).padStart(8, '0').repeat(8)}` as Digest,
      ),
    })
  test.match(lines, [{ level: 'error', namespace: 'ocp-priv', msg: /more digests than are stored/ }])
})
