import t from 'tap'
import { TagFollower } from '../../../src/digests/restricted-index/tag-follower.ts'
import type { Digest, QciTag } from '../../../src/oci/reference.ts'
import { digestOf } from '../fixtures.ts'
import { FakeUpstream } from './upstream.ts'

const hourMs = 3600_000
const [index, image, gone, layer] = ['index', 'image', 'gone', 'layer'].map((text) => digestOf(text)) as [
  Digest,
  Digest,
  Digest,
  Digest,
]
const tag = 'ocp-priv_4.15_base' as QciTag

const setUp = (tags: readonly string[] = [tag]) => {
  const clock = { now: 1000 * 24 * hourMs }
  const upstream = new FakeUpstream(tags, 'bytes', () => clock.now)
  const follower = new TagFollower({
    tagRetryMs: 0.01,
    fetchManifest: upstream.fetchManifest,
    manifestsOf: upstream.manifestsOf,
    facts: upstream.facts,
    onFailure: () => undefined,
    signal: new AbortController().signal,
    now: () => clock.now,
  })
  const followUnknown = async () => {
    await follower.followUnknown(all())
    return upstream.taken()
  }
  async function* all(): AsyncGenerator<QciTag> {
    yield* tags as readonly QciTag[]
  }
  return { clock, upstream, follower, followUnknown }
}

await t.test('a tag that is known down to its layers is not fetched again', async (test) => {
  const { followUnknown, follower } = setUp()
  test.strictSame(await followUnknown(), [tag])
  test.strictSame(await followUnknown(), [])
  test.equal(follower.followed, 1)
})

await t.test(
  'attack: after HEAD, or a pull of the index alone, the layers are still fetched',
  async (test) => {
    for (const children of [undefined, { manifests: [image], blobs: [] }]) {
      const { followUnknown, upstream } = setUp()
      upstream.manifests.set(tag, { digest: index, manifests: [image] })
      upstream.manifests.set(image, { digest: image, blobs: [layer] })
      await upstream.facts.record(tag, index, children)
      test.strictSame(await followUnknown(), [tag, image])
      test.match(upstream.graph.reachOf(layer), { isRestricted: true })
      test.strictSame(await followUnknown(), [])
    }
  },
)

await t.test(
  'a manifest that upstream does not have is fetched once a day, and not in every round',
  async (test) => {
    const { followUnknown, upstream, clock } = setUp()
    upstream.manifests.set(tag, { digest: index, manifests: [gone] })
    test.strictSame(await followUnknown(), [tag, gone])
    test.strictSame(await followUnknown(), [])
    clock.now += 24 * hourMs + 1
    test.strictSame(await followUnknown(), [tag, gone])
  },
)

const other = 'ocp-priv_4.15_other' as QciTag

await t.test(
  'attack: a tag, or a manifest below one, that cannot be read is no absence, and holds nothing up',
  async (test) => {
    for (const broken of [tag, image]) {
      const { followUnknown, upstream, follower } = setUp([tag, other])
      upstream.manifests.set(tag, { digest: index, manifests: [image] })
      upstream.manifests.set(image, { digest: image, blobs: [layer] })
      // The only tag that is known already.
      await follower.follow([other])
      let isBroken = true
      upstream.before = (what) => {
        if (isBroken && what === broken) throw new Error('500')
      }
      await followUnknown()
      test.equal(follower.hasUnread, true)
      if (broken === tag) test.strictSame(await followUnknown(), [], 'not twice in one round')
      await follower.followUnread()
      test.equal(follower.hasUnread, true)
      upstream.taken()
      isBroken = false
      await follower.followUnread()
      test.strictSame(
        [upstream.taken(), follower.hasUnread],
        [broken === tag ? [tag, image] : [image], false],
      )
      test.match(upstream.graph.reachOf(layer), { isRestricted: true })
      test.strictSame(await followUnknown(), [])
    }
  },
)

await t.test(
  'a tag that could not be read, and that upstream does not have any more, is over',
  async (test) => {
    const { upstream, follower } = setUp([tag, other])
    await follower.follow([other])
    upstream.before = (what) => {
      if (what === tag) throw new Error('500')
    }
    await follower.follow([tag])
    test.equal(follower.hasUnread, true)
    upstream.before = () => undefined
    upstream.remove(tag)
    await follower.followUnread()
    test.equal(follower.hasUnread, false)
  },
)

await t.test('while nothing is known yet, no tag is skipped', async (test) => {
  const { upstream, follower } = setUp()
  let failures = 20
  upstream.before = () => {
    if (failures-- > 0) throw new Error('503')
  }
  for (let run = 0; run < 2; run++)
    await test.rejects(follower.follow([tag]), { message: 'upstream gives no manifest' })
  await follower.follow([tag])
  test.equal(follower.hasUnread, false)
  test.equal(upstream.facts.restrictedTags.size, 1)
})

await t.test('attack: the first tags are all broken; a tag that upstream lists is tried', async (test) => {
  const listed = 'ocp_4.15_base' as QciTag
  const { upstream, follower } = setUp([tag, listed])
  upstream.before = (what) => {
    if (what !== listed) throw new Error('500')
  }
  for (let page = 0; page < 40; page++) follower.noteListed(listed)
  await follower.follow([tag])
  test.equal(follower.hasUnread, true)
  test.ok(upstream.taken().every((what) => what === listed))
})

await t.test(
  'attack: a manifest that is there and closes nothing by name is unread, and no absence',
  async (test) => {
    const { upstream, follower, followUnknown } = setUp([tag, other])
    await follower.follow([other])
    const { fetchManifest } = upstream
    let isOdd = true
    const odd = new TagFollower({
      tagRetryMs: 0.01,
      manifestsOf: (digest) => (isOdd && digest === digestOf(tag) ? undefined : upstream.manifestsOf(digest)),
      fetchManifest,
      facts: upstream.facts,
      onFailure: () => undefined,
      signal: new AbortController().signal,
      now: () => 0,
    })
    await odd.follow([tag])
    test.equal(odd.hasUnread, true)
    isOdd = false
    await odd.followUnread()
    test.equal(odd.hasUnread, false)
    upstream.taken()
    test.strictSame(await followUnknown(), [])
  },
)

await t.test('a tag that upstream does not have any more is skipped', async (test) => {
  const { followUnknown, upstream } = setUp()
  upstream.remove(tag)
  test.strictSame(await followUnknown(), [tag])
})

await t.test('indexes within indexes are checked as deep as they are followed', async (test) => {
  const { followUnknown, upstream } = setUp()
  const chain = Array.from({ length: 9 }, (_, link) => digestOf(`link ${link}`))
  for (const [link, digest] of chain.entries())
    upstream.manifests.set(link === 0 ? tag : digest, { digest, manifests: chain.slice(link + 1, link + 2) })
  test.equal((await followUnknown()).length, 5)
  test.strictSame(await followUnknown(), [])
})

await t.test(
  'live tags are resolved again after an hour; a missing tag takes no turn of others',
  async (test) => {
    const tags = Array.from({ length: 700 }, (_, number) => `ocp-priv_4.15_${number}`)
    const copy = '20261128170000_prune_ocp-priv_4.15_0'
    const { follower, followUnknown, upstream, clock } = setUp([...tags, copy])
    await followUnknown()
    upstream.remove(...tags.slice(0, 600))
    await follower.recheck()
    test.strictSame(upstream.taken(), [])
    clock.now += hourMs
    await follower.recheck()
    test.equal(upstream.taken().length, 500)
    await follower.recheck()
    test.strictSame(
      upstream.taken().toSorted(),
      tags.slice(500).toSorted(),
      'those that were looked at longest ago',
    )
    await follower.recheck()
    test.strictSame(upstream.taken(), [])
    test.equal(upstream.facts.restrictedTags.get('ocp-priv_4.15_699' as QciTag)?.seenAt, clock.now)
  },
)

await t.test('attack: the broken tag is the newest one that could be read before', async (test) => {
  const others = Array.from({ length: 4 }, (_, number) => `ocp-priv_4.15_${number}` as QciTag)
  const { upstream, follower } = setUp([...others, tag])
  await follower.follow([...others, tag])
  // Of the others, the newest are broken as well.
  upstream.before = (what) => {
    if (what === tag || what === others[3] || what === others[2]) throw new Error('500')
  }
  await follower.follow([tag])
  test.equal(follower.hasUnread, true)
})

await t.test('while upstream answers nothing, no tag is skipped', async (test) => {
  const { upstream, follower } = setUp([other, tag])
  await follower.follow([other, tag])
  // Eight tries, then a probe before each further one.
  let failures = 15
  upstream.before = () => {
    if (failures-- > 0) throw new Error('503')
  }
  await follower.follow([tag])
  test.equal(follower.hasUnread, false)
})

await t.test('what could not be read is tried once in a round, 32 references at most', async (test) => {
  const tags = Array.from({ length: 70 }, (_, number) => `ocp-priv_4.15_${number}` as QciTag)
  const { upstream, follower, followUnknown, clock } = setUp([...tags, other])
  await follower.follow([other])
  const tried: (string | undefined)[] = []
  upstream.before = (what) => {
    if (what === other) return
    tried.push(what)
    throw new Error('500')
  }
  await followUnknown()
  tried.length = 0
  for (const count of [32, 64]) {
    await follower.followUnread()
    test.equal(tried.length, count)
  }
  test.equal(new Set(tried).size, 64, 'each in its turn')
  clock.now += hourMs
  tried.length = 0
  await followUnknown()
  await follower.followEach(tags)
  await follower.recheck()
  test.strictSame(tried, [])
})

await t.test('a manifest that could not be read is not tried again with the tag above it', async (test) => {
  const { upstream, follower, followUnknown } = setUp([tag, other])
  upstream.manifests.set(tag, { digest: index, manifests: [image] })
  await follower.follow([other])
  let tries = 0
  upstream.before = (what) => {
    if (what !== image) return
    tries += 1
    throw new Error('500')
  }
  await followUnknown()
  test.equal(tries, 8)
  await followUnknown()
  test.equal(tries, 8)
  await follower.followUnread()
  test.equal(tries, 9)
})
