import t from 'tap'
import { followTags, type FollowTagsOptions } from '../../../src/digests/restricted-index/follow-tags.ts'
import { parseDigest, type Digest, type QciTag } from '../../../src/oci/reference.ts'
import { digestOf } from '../fixtures.ts'

async function* tagsOf(...tags: readonly string[]): AsyncGenerator<QciTag> {
  for (const tag of tags) yield tag as QciTag
}

interface Scene {
  /** Manifests by tag or digest, with the digests that they name. */
  readonly manifests?: Readonly<Record<string, { digest: Digest; manifests: readonly Digest[] }>>
  readonly fail?: (reference: string, tries: number) => boolean
}

const setUp = ({ manifests = {}, fail = () => false }: Scene = {}, more: Partial<FollowTagsOptions> = {}) => {
  const ending = new AbortController()
  const known = new Map<Digest, readonly Digest[]>()
  const tries = new Map<string, number>()
  const failures: string[] = []
  let inFlight = 0
  let most = 0
  let followed = 0
  const options: FollowTagsOptions = {
    fetch: async (reference) => {
      tries.set(reference, (tries.get(reference) ?? 0) + 1)
      inFlight += 1
      most = Math.max(most, inFlight)
      await new Promise((resolve) => setImmediate(resolve))
      inFlight -= 1
      if (fail(reference, tries.get(reference) ?? 0)) throw new Error('503')
      const found = manifests[reference]
      if (found !== undefined) known.set(found.digest, found.manifests)
      return found?.digest
    },
    manifestsOf: (digest) => known.get(digest),
    signal: ending.signal,
    onFailure: (reference) => void failures.push(reference),
    onFollowed: () => {
      followed += 1
    },
    retryMs: 0.01,
    isAnswering: async () => false,
    ...more,
  }
  return { options, ending, tries, failures, most: () => most, followed: () => followed }
}

await t.test('each tag and every unknown manifest below it are fetched', async (test) => {
  const [index, image, other] = ['index', 'image', 'other'].map((text) => digestOf(text)) as [
    Digest,
    Digest,
    Digest,
  ]
  const { options, tries, followed } = setUp({
    manifests: {
      a_b_c: { digest: index, manifests: [image, other, digestOf('gone')] },
      [image]: { digest: image, manifests: [] },
      [other]: { digest: other, manifests: [] },
      a_b_d: { digest: image, manifests: [] },
    },
  })
  await followTags(tagsOf('a_b_d'), options)
  await followTags(tagsOf('a_b_c', 'a_b_gone'), options)
  test.strictSame(Object.fromEntries(tries), {
    a_b_d: 1,
    a_b_c: 1,
    [other]: 1,
    [digestOf('gone')]: 1,
    a_b_gone: 1,
  })
  test.equal(followed(), 3)
  await followTags(tagsOf('a_b_d'), { ...options, onFollowed: undefined })
  test.equal(followed(), 3)
})

await t.test('attack: indexes within indexes are followed four levels', async (test) => {
  const chain = Array.from({ length: 9 }, (_, link) => digestOf(`link ${link}`))
  const manifests = Object.fromEntries(
    chain.map((digest, link) => [digest as string, { digest, manifests: chain.slice(link + 1, link + 2) }]),
  )
  const { options, tries } = setUp({
    manifests: { ...manifests, a_b_c: { digest: chain[0]!, manifests: [chain[1]!] } },
  })
  await followTags(tagsOf('a_b_c'), options)
  test.equal(tries.size, 5)
})

await t.test('eight tags are followed at a time', async (test) => {
  const { options, most, followed } = setUp()
  await followTags(tagsOf(...Array.from({ length: 100 }, (_, number) => `a_b_${number}`)), options)
  test.strictSame([most(), followed()], [8, 100])
})

await t.test('a failure is retried; while upstream answers nothing, no tag is skipped', async (test) => {
  const { options, tries, failures } = setUp({ fail: (_reference, count) => count <= 12 })
  await followTags(tagsOf('a_b_c', 'a_b_d'), options)
  test.ok([...tries.values()].some((count) => count === 13))
  test.ok(failures.length >= 12)
})

await t.test('a tag that fails repeatedly while others are answered does not block them', async (test) => {
  const { options, tries, followed } = setUp(
    { fail: (reference) => reference === 'a_b_broken' },
    { isAnswering: async () => true },
  )
  const many = Array.from({ length: 200 }, (_, number) => `a_b_${number}`)
  const unread: string[] = []
  await followTags(tagsOf('a_b_broken', ...many), { ...options, onUnread: (one) => void unread.push(one) })
  test.strictSame(unread, ['a_b_broken'])
  test.strictSame([tries.get('a_b_broken'), followed()], [8, 201])
})

await t.test(
  'a broken tag is skipped if upstream answers others, even if no other tag has to be followed',
  async (test) => {
    let asked = 0
    const { options, tries, followed } = setUp({ fail: () => true })
    await followTags(tagsOf('a_b_broken'), {
      ...options,
      isAnswering: async () => {
        asked += 1
        if (asked === 1) throw new Error('503')
        return asked > 2
      },
    })
    test.strictSame([tries.get('a_b_broken'), asked, followed()], [10, 11, 1])
  },
)

await t.test(
  'attack: hundreds of broken tags hold up no other tag, and end at one deadline',
  async (test) => {
    const broken = Array.from({ length: 300 }, (_, number) => `a_b_broken-${number}`)
    const unread: string[] = []
    let triesBefore: readonly number[] = []
    const { options, tries, most, followed } = setUp(
      {
        fail: (reference) => {
          if (reference === 'a_b_good') triesBefore = broken.map((tag) => tries.get(tag) ?? 0)
          return reference.includes('broken')
        },
      },
      { deadlineMs: 0, onUnread: (one) => void unread.push(one), isAnswering: async () => true },
    )
    await followTags(tagsOf(...broken, 'a_b_good'), options)
    test.strictSame(unread.toSorted(), broken.toSorted())
    test.ok(triesBefore.every((count) => count === 1))
    test.ok(broken.every((tag) => tries.get(tag) === 2))
    test.strictSame([most(), followed(), tries.get('a_b_good')], [8, 301, 1])
  },
)

await t.test(
  'attack: while upstream answers nothing, the run ends at the deadline, and skips nothing',
  async (test) => {
    const unread: string[] = []
    const { options, failures } = setUp({ fail: () => true })
    const onUnread = (one: string) => void unread.push(one)
    await test.rejects(followTags(tagsOf('a_b_c', 'a_b_d'), { ...options, deadlineMs: 0, onUnread }), {
      message: '503',
    })
    test.strictSame([unread, failures], [[], ['a_b_c', 'a_b_d']])
  },
)

await t.test('attack: without any other tag, broken tags are put off, and none is skipped', async (test) => {
  const broken = Array.from({ length: 1200 }, (_, number) => `a_b_${number}`)
  for (const isFound of [false, true]) {
    const unread: string[] = []
    const { options, tries } = setUp({ fail: (reference) => reference !== 'a_b_good' }, { deadlineMs: 10 })
    const following = followTags(tagsOf(...broken.slice(0, isFound ? 900 : 1200), 'a_b_good'), {
      ...options,
      onUnread: (one) => void unread.push(one),
      isAnswering: async () => (tries.has('a_b_good') ? true : undefined),
    })
    if (isFound) await following
    else await test.rejects(following, { message: '503' }, 'more than a thousand wait')
    test.strictSame([unread.length, tries.has('a_b_good')], isFound ? [900, true] : [0, false])
  }
  const { options } = setUp({ fail: () => true }, { deadlineMs: 0, isAnswering: async () => undefined })
  await test.rejects(followTags(tagsOf('a_b_c'), options), { message: 'upstream gives no manifest' })
})

await t.test('tags that are tried once, whatever upstream answers', async (test) => {
  const { options, tries, followed } = setUp({ fail: (reference) => reference !== 'a_b_good' })
  const unread: string[] = []
  const onUnread = (one: string) => void unread.push(one)
  await followTags(tagsOf('a_b_c', 'a_b_good', 'a_b_d'), { ...options, isTriedOnce: true, onUnread })
  test.strictSame([[...tries.values()], followed()], [[1, 1, 1], 3])
  test.strictSame(unread.toSorted(), ['a_b_c', 'a_b_d'])
})

await t.test('the abort ends a request, a pause, and a start', async (test) => {
  for (const when of ['request', 'pause', 'before']) {
    const scene = setUp({ fail: () => true }, { retryMs: when === 'pause' ? 60_000 : 0.01 })
    const { options, ending, failures } = scene
    if (when === 'before') ending.abort(new Error('closing'))
    const following = followTags(tagsOf('a_b_c'), {
      ...options,
      fetch: async (reference) => {
        if (when === 'request') ending.abort(new Error('closing'))
        return await options.fetch(reference)
      },
      onFailure: (reference, error) => {
        options.onFailure(reference, error)
        ending.abort(new Error('closing'))
      },
    })
    await test.rejects(following, when === 'pause' ? { name: 'AbortError' } : { message: 'closing' }, when)
    test.equal(failures.length, when === 'pause' ? 1 : 0)
  }
})

await t.test('tags that cannot be read reject when every worker has ended', async (test) => {
  let inFlight = 0
  const { options } = setUp(
    {},
    {
      fetch: async () => {
        inFlight += 1
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
        inFlight -= 1
        return parseDigest(digestOf('a'))
      },
    },
  )
  const broken = async function* (): AsyncGenerator<QciTag> {
    yield* tagsOf('a_b_c', 'a_b_d')
    throw new Error('no page')
  }
  await test.rejects(followTags(broken(), options), { message: 'no page' })
  test.equal(inFlight, 0)
})

await t.test('a failure is retried after a second unless given', async (test) => {
  const { options } = setUp({ fail: () => true })
  const { retryMs: _retryMs, ...rest } = options
  const ending = new AbortController()
  const onFailure = () => setImmediate(() => ending.abort())
  await test.rejects(followTags(tagsOf('a'), { ...rest, signal: ending.signal, onFailure }), {
    name: 'AbortError',
  })
})
