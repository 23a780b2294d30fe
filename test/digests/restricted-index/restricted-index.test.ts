import t from 'tap'
import type { Test } from 'tap'
import { nothingIndexed, type IndexState } from '../../../src/digests/restricted-index/index-state.ts'
import {
  RestrictedIndex,
  type IndexProgress,
  type RestrictedIndexOptions,
} from '../../../src/digests/restricted-index/restricted-index.ts'
import { locate } from '../fixtures.ts'
import { FakeUpstream } from './upstream.ts'
import { until } from '../../support/until.ts'

const start = Date.UTC(2026, 10, 28, 17, 30)
const tags = ['ocp_4.15_base', 'ocp-priv_4.15_base', '20240101000000_prune_ocp-priv_4.15_old']

/** What replicas share: one of them leads. */
const share = () => {
  const shared = {
    state: undefined as IndexState | undefined,
    leader: undefined as string | undefined,
    writes: 0,
  }
  const of = (replica: string): RestrictedIndexOptions['shared'] => ({
    read: async () => shared.state,
    write: async (state) => {
      shared.writes += 1
      shared.state = state
      return true
    },
    tryLead: async () => (shared.leader ??= replica) === replica,
  })
  return { shared, of }
}

const setUp = (test: Test, more: Partial<RestrictedIndexOptions> = {}) => {
  const clock = { now: start }
  const upstream = new FakeUpstream(tags, 'bytes', () => clock.now)
  const progress: IndexProgress[] = []
  const failures: string[] = []
  const index = new RestrictedIndex({
    ...upstream.walked(),
    shared: share().of('alone'),
    catchUp: async () => true,
    intervalMs: 5,
    retryMs: 1,
    onProgress: (one) => void progress.push(one),
    onFailure: (what) => void failures.push(what),
    now: () => clock.now,
    ...more,
  })
  test.teardown(() => index.close())
  return { index, upstream, progress, failures, clock }
}

await t.test('the leading replica walks, and publishes its progress', async (test) => {
  const { index, progress, failures, upstream } = setUp(test)
  test.strictSame(
    [index.hasFollowedLive(), index.hasFollowedAll(), index.hasTagsOf('ocp-priv')],
    [false, false, false],
  )
  index.start()
  index.start()
  await until(() => index.hasFollowedAll())
  test.strictSame(
    [index.hasFollowedLive(), index.hasTagsOf('ocp-priv'), index.hasTagsOf('mallory-priv')],
    [true, true, false],
  )
  test.match(progress[0], {
    phase: 'live',
    pages: 0,
    followed: 0,
    hasFollowedLive: false,
    hasFollowedAll: false,
  })
  test.match(progress[1], { phase: 'dated', hasFollowedLive: true, hasFollowedAll: false })
  await until(() => progress.length > 6)
  test.match(index.progress(), { followed: 2, hasFollowedAll: true })
  test.strictSame([failures, upstream.taken().length], [[], 2])
  await index.close()
  const { length } = progress
  await new Promise((resolve) => setTimeout(resolve, 20))
  test.equal(progress.length, length, 'closed')
})

await t.test('attack: one broken tag does not hold up the index, and is not forgotten', async (test) => {
  const broken = 'ocp-priv_4.15_broken'
  const { of, shared } = share()
  const { index, upstream } = setUp(test, { shared: of('leader'), tagRetryMs: 0.01 })
  upstream.add(broken)
  let isBroken = true
  upstream.before = (what) => {
    if (isBroken && what === broken) throw new Error('500')
  }
  index.start()
  await until(() => index.hasFollowedAll() && index.hasUnread())
  test.match(index.status(), /: all tags followed; .*, some cannot be read$/)
  test.equal(shared.state?.hasUnread, true)
  isBroken = false
  await until(() => !index.hasUnread())
  test.equal(upstream.facts.restrictedTags.has(broken as never), true)
})

await t.test(
  'attack: at the first start all restricted tags are broken; a tag that upstream lists shows that it answers',
  async (test) => {
    const { index, upstream, failures } = setUp(test, { tagRetryMs: 0.01, tagDeadlineMs: 0 })
    upstream.add(...Array.from({ length: 300 }, (_, number) => `ocp-priv_4.15_${number}`))
    let isOpenBroken = true
    upstream.before = (what, kind) => {
      const isOpen = what?.startsWith('ocp_') === true
      if (kind === 'manifest' && (isOpen ? isOpenBroken : true)) throw new Error('500')
    }
    index.start()
    await until(() => failures.includes('the tag list'))
    test.equal(index.hasEverFollowedLive(), false, 'without any answer, unread tags are not skipped')
    isOpenBroken = false
    await until(() => index.hasFollowedAll())
    test.equal(index.hasUnread(), true)
  },
)

await t.test('the other replicas get its facts, and read no page', async (test) => {
  const { shared, of } = share()
  const leader = setUp(test, { shared: of('leader') })
  leader.index.start()
  await until(() => leader.index.hasFollowedAll())
  const follower = setUp(test, { shared: of('follower') })
  follower.index.start()
  await until(() => follower.index.hasFollowedLive())
  test.strictSame(
    [follower.index.hasFollowedAll(), follower.index.hasTagsOf('ocp-priv'), follower.upstream.pages],
    [true, true, 0],
  )
  shared.leader = 'follower'
  await until(() => follower.upstream.pages > 0)
  test.ok(follower.upstream.pages > 0, 'and walk once the other is gone')
})

await t.test('an outdated state does not make a replica ready', async (test) => {
  const { shared, of } = share()
  shared.leader = 'another'
  shared.state = {
    ...nothingIndexed,
    liveCompleteAt: start - 15,
    datedCompleteAt: start,
    namespaces: ['ocp-priv'],
  }
  let turns = 0
  const { index, upstream } = setUp(test, {
    shared: of('follower'),
    catchUp: async () => {
      turns += 1
      return true
    },
  })
  index.start()
  await until(() => turns > 3)
  test.strictSame(
    [index.hasFollowedLive(), index.hasFollowedAll(), index.hasTagsOf('ocp-priv')],
    [false, false, true],
  )
  test.match(index.status(), /: not complete; /)
  shared.state = { ...shared.state, liveCompleteAt: start - 14, datedCompleteAt: undefined }
  await until(() => index.hasFollowedLive())
  test.match(index.status(), /: live tags followed; /)
  test.equal(upstream.pages, 0)
})

const hourMs = 3600_000
const dayMs = 24 * hourMs

await t.test(
  'attack: the tag list fails for an hour, and the index is incomplete until it is read again',
  async (test) => {
    const { index, upstream, failures, clock } = setUp(test)
    index.start()
    await until(() => index.hasFollowedAll())
    let isDown = true
    upstream.before = (_what, kind) => {
      if (isDown && kind === 'page') throw new Error('503')
    }
    // A round that began before may still be under way.
    await until(() => failures.length > 1)
    clock.now += hourMs - 1
    test.strictSame([index.hasFollowedLive(), index.hasFollowedAll()], [true, true])
    test.match(
      index.status(),
      /^restricted index: all tags followed; phase \w+, \d+ pages of tags read, 2 tags followed$/,
    )
    clock.now += 1
    test.strictSame(
      [index.hasFollowedLive(), index.hasFollowedAll(), index.hasEverFollowedLive()],
      [false, false, true],
    )
    test.match(index.status(), /: outdated, because upstream fails; /)
    test.match(index.progress(), { hasFollowedLive: false, hasFollowedAll: false })
    isDown = false
    await until(() => index.hasFollowedAll())
  },
)

await t.test(
  'the other replicas are as old as the walk, whatever the clock of its replica says',
  async (test) => {
    const { shared, of } = share()
    shared.leader = 'another'
    const { index, clock } = setUp(test, { shared: of('follower'), intervalMs: 1 })
    const readTwice = async (liveCompleteAt: number) => {
      let reads = 0
      shared.state = {
        ...nothingIndexed,
        get liveCompleteAt() {
          reads += 1
          return liveCompleteAt
        },
      }
      await until(() => reads > 2)
    }
    test.equal(index.hasEverFollowedLive(), false)
    index.start()
    await readTwice(start + dayMs)
    test.equal(index.hasFollowedLive(), true)
    clock.now += hourMs
    test.equal(index.hasFollowedLive(), false, 'a clock that is ahead does not count')
    await readTwice(clock.now - hourMs)
    test.equal(index.hasFollowedLive(), false)
    await readTwice(clock.now - hourMs + 1)
    test.equal(index.hasFollowedLive(), true)
    await readTwice(start - dayMs)
    test.equal(index.hasFollowedLive(), true, 'an older state of the store')
  },
)

await t.test('with a long interval the index is complete for three of them', async (test) => {
  const { index, clock } = setUp(test, { intervalMs: hourMs })
  index.start()
  await until(() => index.hasFollowedAll())
  await index.close()
  clock.now += 3 * hourMs - 1
  test.equal(index.hasFollowedLive(), true)
  clock.now += 1
  test.equal(index.hasFollowedLive(), false)
})

await t.test('while upstream fails, a stored state of the last day is served with', async (test) => {
  for (const [age, isRestored] of [
    [dayMs - 1, true],
    [dayMs, false],
    [undefined, false],
  ] as const) {
    const { shared, of } = share()
    shared.state = {
      ...nothingIndexed,
      liveCompleteAt: age === undefined ? undefined : start - age,
      namespaces: ['ocp-priv'],
    }
    const { index, upstream, failures } = setUp(test, { shared: of('alone') })
    let isDown = true
    upstream.before = () => {
      if (isDown) throw new Error('503')
    }
    test.equal(index.isRestored(), false, 'not before upstream has failed')
    index.start()
    await until(() => failures.length > 2)
    test.strictSame(
      [index.isRestored(), index.hasFollowedLive(), index.hasTagsOf('ocp-priv')],
      [isRestored, false, true],
      `${age} ms old: what is not known stays closed`,
    )
    test.equal(index.status().includes('of the last start'), isRestored)
    isDown = false
    await until(() => index.hasFollowedAll())
    await index.close()
  }
})

await t.test('upstream works: a stored state that is outdated waits for the walk', async (test) => {
  const { shared, of } = share()
  shared.state = { ...nothingIndexed, liveCompleteAt: start - 1000 }
  const { index } = setUp(test, { shared: of('alone') })
  index.start()
  await until(() => index.hasFollowedLive())
  test.equal(index.isRestored(), false)
})

await t.test(
  'a replica without a connection to the others walks by itself, and uses no stored state',
  async (test) => {
    const { shared, of } = share()
    shared.leader = 'another'
    shared.state = { ...nothingIndexed, liveCompleteAt: start, namespaces: ['x-priv'] }
    const { index, upstream } = setUp(test, { shared: of('alone'), catchUp: async () => false })
    index.start()
    await until(() => index.hasFollowedAll())
    test.ok(upstream.pages > 0)
    test.equal(index.hasTagsOf('x-priv'), false)
  },
)

await t.test(
  'errors of upstream in a walk are reported and retried, and all tags are followed',
  async (test) => {
    for (const retryMs of [1, undefined]) {
      const { index, failures, upstream } = setUp(test, {
        intervalMs: 2,
        ...(retryMs === undefined ? {} : { retryMs }),
      })
      let left = retryMs === undefined ? 0 : 4
      upstream.before = (_what, kind) => {
        if (kind === 'page' && left-- > 0) throw new Error('503')
      }
      index.start()
      await until(() => index.hasFollowedAll())
      test.strictSame(
        failures,
        Array.from({ length: retryMs === undefined ? 0 : 4 }, () => 'the tag list'),
      )
    }
  },
)

await t.test('closing during a failure reports no failure', async (test) => {
  const { index, failures, upstream } = setUp(test)
  let closing: Promise<void> | undefined
  upstream.before = () => {
    closing = index.close()
    throw new Error('aborted')
  }
  index.start()
  await until(() => closing !== undefined)
  await closing
  test.strictSame(failures, [])
})

await t.test('tags are resolved at once on request', async (test) => {
  const { index, upstream } = setUp(test)
  await index.follow(['ocp-priv_4.15_base' as never])
  test.equal(upstream.facts.restrictedTags.size, 1)
})

await t.test('the system clock is used unless one is given', async (test) => {
  const shared = share()
  const upstream = new FakeUpstream(tags, 'bytes')
  const index = new RestrictedIndex({
    fetchPage: upstream.fetchPage,
    fetchManifest: upstream.fetchManifest,
    manifestsOf: upstream.manifestsOf,
    isRestrictedDigest: () => false,
    locate,
    facts: upstream.facts,
    shared: shared.of('alone'),
    catchUp: async () => true,
    intervalMs: 60_000,
    onProgress: () => undefined,
    onFailure: () => undefined,
  })
  test.teardown(() => index.close())
  index.start()
  await until(() => index.hasFollowedAll())
  test.ok(Math.abs((shared.shared.state?.datedCompleteAt ?? 0) - Date.now()) < 60_000)
})

await t.test('attack: a namespace has become restricted since the state was written', async (test) => {
  for (const patterns of [undefined, 'ocp-priv', '*-priv ocp-priv']) {
    const { shared, of } = share()
    shared.leader = 'another'
    shared.state = {
      ...nothingIndexed,
      liveCompleteAt: start,
      ...(patterns === undefined ? {} : { patterns }),
    }
    const { index, upstream } = setUp(test, { shared: of('this'), patterns: ['ocp-priv', '*-priv'] })
    const isKnown = patterns === '*-priv ocp-priv'
    let mayList = false
    upstream.before = () => {
      if (!mayList) throw new Error('503')
    }
    index.start()
    if (!isKnown) {
      await until(() => index.progress().phase === 'live')
      test.strictSame([index.hasFollowedLive(), index.isRestored()], [false, false])
    }
    mayList = true
    await until(() => index.hasFollowedLive())
    await index.close()
    test.equal(upstream.pages > 0, !isKnown, 'it follows them itself')
  }
})

await t.test('the state says for which patterns the tags were followed', async (test) => {
  const { shared, of } = share()
  const { index } = setUp(test, { shared: of('leader'), patterns: ['x-*', '*-priv'] })
  index.start()
  await until(() => index.hasFollowedAll())
  test.equal(shared.state?.patterns, '*-priv x-*')
})

await t.test('attack: the store forgets the walk, and this replica has forgotten names', async (test) => {
  for (const hasForgotten of [false, true]) {
    const { shared, of } = share()
    const upstream = new FakeUpstream(tags, 'bytes', () => start)
    Object.defineProperty(upstream.graph, 'hasForgottenNames', { value: hasForgotten })
    const written: (number | undefined)[] = []
    const write = async (state: IndexState) => {
      written.push(state.datedCompleteAt)
      shared.state = state
      return await Promise.resolve(true)
    }
    const { index } = setUp(test, { ...upstream.walked(), shared: { ...of('leader'), write } })
    index.start()
    await until(() => written.at(-1) !== undefined && index.progress().phase === 'idle')
    shared.state = undefined
    const { length } = written
    await until(() => written.length > length)
    test.equal(written[length] !== undefined, !hasForgotten, 'the dated copies are followed again')
    await index.close()
  }
})
