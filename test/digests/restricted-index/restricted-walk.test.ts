import t from 'tap'
import { nothingIndexed, type IndexState } from '../../../src/digests/restricted-index/index-state.ts'
import { RestrictedWalk, type WalkOptions } from '../../../src/digests/restricted-index/restricted-walk.ts'
import { hourOf } from '../../../src/oci/tag-order.ts'
import { digestOf } from '../fixtures.ts'
import { FakeUpstream, isRestrictedTag, type Order } from './upstream.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const start = Date.UTC(2026, 10, 28, 17, 30)
const orders = ['bytes', 'text'] as const
const stamp = (time: number) => new Date(time).toISOString().replaceAll(/\D/g, '').slice(0, 14)

const setUp = (
  tags: Iterable<string>,
  order: Order = 'bytes',
  perPage = 100,
  more: Partial<WalkOptions> = {},
  before: IndexState = nothingIndexed,
) => {
  const clock = { now: start }
  const upstream = new FakeUpstream(tags, order, () => clock.now, perPage)
  const notes: Partial<IndexState>[] = []
  const phases: string[] = []
  let state = before
  const walk = new RestrictedWalk(
    {
      ...upstream.walked(),
      onProgress: (phase) => void phases.push(phase),
      onFailure: () => undefined,
      signal: new AbortController().signal,
      now: () => clock.now,
      ...more,
    },
    async (change) => {
      notes.push(change)
      state = { ...state, ...change }
    },
  )
  /** The requests of a round, and the number of pages that it has read. */
  const round = async () => {
    const before = upstream.pages
    await walk.round(state)
    return { tags: upstream.taken().toSorted(), pages: upstream.pages - before }
  }
  return { clock, upstream, walk, notes, phases, round, state: () => state }
}

const copies = [
  '20240101000000_prune_ocp-priv_4.15_old',
  '20240101000000_prune_ocp_4.15_old',
  '20250101000000_prune___ci_images_mirror__ocp-priv_4.15_x',
  '20250101000000_prune_art__more-priv_4.15_x',
]
const small = [
  'ocp_4.15_base',
  'ocp-priv_4.15_base',
  'art__ocp-priv_4.15_base',
  '3scale-priv_a_b',
  'latest',
  ...copies,
]

await t.test(
  'a first round follows every restricted tag, live and dated, once, in both orders',
  async (test) => {
    for (const order of orders)
      for (const perPage of [2, 100]) {
        const { round, state, phases, walk, upstream } = setUp(small, order, perPage)
        test.strictSame((await round()).tags, small.filter(isRestrictedTag).toSorted(), `${order} ${perPage}`)
        test.match(state(), {
          liveCompleteAt: start,
          datedCompleteAt: start,
          datedSeenUpTo: hourOf(start - hourMs),
        })
        test.strictSame(state().namespaces.toSorted(), ['3scale-priv', 'more-priv', 'ocp-priv'])
        test.strictSame(phases, ['live', 'dated', 'attached', 'idle'])
        test.strictSame(walk.counts(), {
          pages: upstream.pages,
          followed: small.filter(isRestrictedTag).length,
        })
        test.match(upstream.graph.reachOf(digestOf(`layer ${copies[0]}`)), { isRestricted: true })
      }
  },
)

await t.test(
  'the next rounds read few pages: new tags are found, and overwritten ones are resolved',
  async (test) => {
    const others = Array.from({ length: 30_000 }, (_, number) => `ocp_4.15_${number}`)
    for (const order of orders) {
      const { round, upstream, clock } = setUp([...small, ...others], order)
      await round()
      clock.now += 5 * minuteMs
      const second = await round()
      test.strictSame(second.tags, [])
      if (order === 'bytes') test.ok(second.pages <= 2 * 3 + 1, `${second.pages} pages`)
      upstream.add(
        'ocp-priv_4.15_new',
        `${stamp(clock.now)}_prune_ocp-priv_4.15_base`,
        `${stamp(clock.now)}_prune_ocp_4.15_base`,
      )
      upstream.manifests.set('ocp-priv_4.15_base', { digest: digestOf('replaced') })
      clock.now += 5 * minuteMs
      test.strictSame(
        (await round()).tags,
        [
          'ocp-priv_4.15_new',
          `${stamp(clock.now - 5 * minuteMs)}_prune_ocp-priv_4.15_base`,
          'ocp-priv_4.15_base',
        ].toSorted(),
        order,
      )
      test.match(upstream.graph.reachOf(digestOf('replaced')), { isRestricted: true })
    }
  },
)

await t.test(
  'a new namespace is found within an hour; if every page has to be read, within a day',
  async (test) => {
    for (const order of orders) {
      const { round, upstream, clock, state } = setUp(small, order, 2)
      await round()
      upstream.add('new-priv_a_b')
      clock.now += (order === 'bytes' ? 1 : 24) * hourMs - 1
      test.notOk((await round()).tags.includes('new-priv_a_b'))
      clock.now += 1
      test.ok((await round()).tags.includes('new-priv_a_b'))
      test.ok(state().namespaces.includes('new-priv'))
    }
  },
)

await t.test(
  'attack: the progress of dated copies is noted, except for dates in the future',
  async (test) => {
    const many = Array.from(
      { length: 4000 },
      (_, number) => `${stamp(Date.UTC(2024, 0, 1) + number * hourMs)}_prune_ocp_a_b`,
    )
    const future = Array.from(
      { length: 100 },
      (_, number) => `20480101${String(number).padStart(6, '0')}_prune_ocp-priv_a_${number}`,
    )
    const { round, notes, phases, upstream, clock, state } = setUp(
      [...many, ...future, 'ocp-priv_a_b', ...Array.from({ length: 90 }, (_, number) => `20-x_a_${number}`)],
      'bytes',
      2,
    )
    await round()
    const seen = notes.flatMap(({ datedSeenUpTo }) => (datedSeenUpTo === undefined ? [] : [datedSeenUpTo]))
    test.ok(seen.length > 90)
    test.strictSame(seen, seen.toSorted())
    test.ok(seen.every((hour) => hour < hourOf(start)))
    test.ok(phases.filter((phase) => phase === 'dated').length > 90)
    test.strictSame(
      future.filter((tag) => !upstream.facts.restrictedTags.has(tag as never)),
      [],
      'attack: they are followed',
    )
    clock.now += 5 * minuteMs
    const copy = `${stamp(clock.now)}_prune_ocp-priv_a_new`
    upstream.add(copy)
    test.ok((await round()).tags.includes(copy), 'and hide nothing that comes before them')
    test.ok(state().datedSeenUpTo < '2027')
  },
)

await t.test('a walk that was cut continues from its note, and not from the beginning', async (test) => {
  const many = Array.from(
    { length: 400 },
    (_, number) => `${stamp(Date.UTC(2024, 0, 1) + number * hourMs)}_prune_ocp-priv_a_${number}`,
  )
  const { round, upstream, state } = setUp(many, 'bytes', 2)
  upstream.before = (_what, kind) => {
    if (kind === 'page' && upstream.pages >= 150) throw new Error('unavailable')
  }
  await test.rejects(round(), { message: 'unavailable' })
  test.match(state(), { liveCompleteAt: start, datedCompleteAt: undefined })
  test.ok(state().datedSeenUpTo > '2024')
  const asked = upstream.taken().length
  upstream.before = () => undefined
  const { tags } = await round()
  test.ok(asked + tags.length >= 400 && tags.length < 300)
  test.equal(upstream.facts.restrictedTags.size, 400)
})

await t.test('live tags are scanned while dated copies are read, however long that takes', async (test) => {
  const many = Array.from(
    { length: 1000 },
    (_, number) => `${stamp(Date.UTC(2024, 0, 1) + number * hourMs)}_prune_ocp_a_b`,
  )
  for (const order of orders) {
    const { round, upstream, clock, notes } = setUp([...many, 'ocp-priv_a_b'], order, 10)
    await round()
    notes.length = 0
    // Everything is to be read again: a process that knows of a first round alone.
    const second = setUp([...many, 'ocp-priv_a_b'], order, 10)
    await second.walk.round({ ...nothingIndexed, liveCompleteAt: start - hourMs, namespaces: ['ocp-priv'] })
    const before = second.notes.filter(({ liveCompleteAt }) => liveCompleteAt !== undefined).length
    second.notes.length = 0
    second.upstream.before = (_what, kind) => {
      if (kind === 'page') second.clock.now += minuteMs
    }
    second.clock.now += 24 * hourMs
    second.upstream.add('ocp-priv_a_new')
    await second.walk.round({ ...nothingIndexed, liveCompleteAt: start, namespaces: ['ocp-priv'] })
    const live = second.notes.filter(({ liveCompleteAt }) => liveCompleteAt !== undefined).length
    test.ok(live > 5 && live > before, `${order}: ${live} times`)
    test.ok(upstream.pages > 0 && clock.now === start)
  }
})

await t.test('tags that are attached to restricted digests are followed every six hours', async (test) => {
  const image = digestOf('ocp-priv_4.15_base')
  const signature = `sha256-${image.slice(7)}.sig`
  const open = `sha256-${digestOf('ocp_4.15_base').slice(7)}.sig`
  for (const order of orders) {
    const { round, clock, upstream } = setUp([...small, signature, open, 'sha256-priv_a_b'], order)
    const { tags } = await round()
    test.ok(tags.includes(signature) && !tags.includes(open))
    test.match(upstream.graph.reachOf(digestOf(`layer ${signature}`)), { isRestricted: true })
    clock.now += 6 * hourMs - 1
    test.notOk((await round()).tags.includes(signature))
    clock.now += 1
    test.ok((await round()).tags.includes(signature))
  }
})

await t.test('tags that an ImageStream claims have changed are resolved now, known or not', async (test) => {
  const { walk, upstream } = setUp(small)
  await walk.follow(['ocp-priv_4.15_base' as never])
  await walk.follow(['ocp-priv_4.15_base' as never])
  test.equal(upstream.taken().length, 2)
})

await t.test(
  'attack: the tag that an ImageStream claims cannot be read; it counts before the next round',
  async (test) => {
    const { walk, upstream, round, state } = setUp(small, 'bytes', 100, {
      tagRetryMs: 0.01,
      tagDeadlineMs: 0,
    })
    await round()
    upstream.before = (what) => {
      if (what === 'ocp-priv_4.15_base') throw new Error('500')
    }
    test.equal(state().hasUnread, false)
    await walk.follow(['ocp-priv_4.15_base' as never])
    test.equal(state().hasUnread, true)
  },
)

await t.test(
  'attack: a new leader begins again, if an earlier one could not read everything',
  async (test) => {
    const [old, base] = [copies[0] ?? '', 'ocp-priv_4.15_base']
    for (const broken of [old, base]) {
      const first = setUp(small, 'bytes', 100, { tagRetryMs: 0.01 })
      first.upstream.before = (what, kind) => {
        if (kind === 'manifest' && what === broken) throw new Error('500')
      }
      await first.round()
      test.equal(first.state().hasUnread, true)
      await first.round()
      test.equal(first.state().hasUnread, true)
      // The new leader has the facts of all other tags.
      const second = setUp(small, 'bytes', 100, { tagRetryMs: 0.01 }, first.state())
      const known = small.filter((one) => isRestrictedTag(one) && one !== broken)
      await second.walk.follow(known as never)
      second.upstream.taken()
      second.clock.now += minuteMs
      const seen: unknown[] = []
      second.upstream.before = () => void seen.push(second.state().hasUnread)
      const begun = await second.round()
      test.strictSame(begun.tags, [broken])
      test.ok(
        seen.every((one) => one === true),
        'until it has tried all of them',
      )
      test.equal(second.state().hasUnread, false)
      const later = await second.round()
      test.ok(later.pages < begun.pages, 'it does not begin again in each round')
    }
  },
)
