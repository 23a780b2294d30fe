import { createHash } from 'node:crypto'
import t from 'tap'
import { createDigestIndex } from '../../src/access/digests.ts'
import { createRestricted } from '../../src/access/restricted.ts'
import { parseDigest } from '../../src/reference.ts'

const isRestricted = createRestricted(['*-priv'])
const digestOf = (text: string) => parseDigest(`sha256:${createHash('sha256').update(text).digest('hex')}`)
const layer = digestOf('layer')
const ocp = { namespace: 'ocp', name: '4.15' }
const embargoed = { namespace: 'ocp-priv', name: '4.15' }
const team = { namespace: 'my-team' }

await t.test('a digest that nobody has seen is nowhere', async (test) => {
  const index = createDigestIndex({ isRestricted })
  test.strictSame(index.seenIn(layer), [])
  index.learn(layer, [])
  test.strictSame(index.seenIn(layer), [], 'learning nothing makes nothing known')
})

await t.test('places add up, each once, most recent last', async (test) => {
  const index = createDigestIndex({ isRestricted })
  index.learn(layer, [ocp])
  index.learn(layer, [team, { ...ocp, name: '4.16' }])
  index.learn(layer, [{ ...ocp }])
  test.strictSame(index.seenIn(layer), [team, { namespace: 'ocp', name: '4.16' }, ocp])
  index.learn(layer, [{ ...team }, { ...team }])
  test.strictSame(index.seenIn(layer), [{ namespace: 'ocp', name: '4.16' }, ocp, team])
  test.strictSame(index.seenIn(digestOf('other')), [])
})

await t.test('a stream without a name is not the stream with one', async (test) => {
  const index = createDigestIndex({ isRestricted })
  index.learn(layer, [{ namespace: 'ocp' }, ocp])
  test.strictSame(index.seenIn(layer), [{ namespace: 'ocp' }, ocp])
})

await t.test('children inherit every place of their parents', async (test) => {
  const index = createDigestIndex({ isRestricted })
  const [list, manifest] = [digestOf('list'), digestOf('manifest')]
  index.learn(list, [ocp])
  index.learn(manifest, [team])
  index.learn(manifest, index.seenIn(list))
  index.learn(layer, index.seenIn(manifest))
  test.strictSame(index.seenIn(layer), [team, ocp])
})

await t.test(
  'what was restricted opens when it is seen in the open, and stays known in both',
  async (test) => {
    const index = createDigestIndex({ isRestricted, max: 2 })
    index.learn(layer, [embargoed])
    test.strictSame(index.seenIn(layer), [embargoed])
    index.learn(layer, [ocp])
    test.strictSame(index.seenIn(layer), [embargoed, ocp])
    index.learn(layer, [embargoed])
    test.strictSame(index.seenIn(layer), [ocp, embargoed])
    for (const text of ['a', 'b']) index.learn(digestOf(text), [ocp])
    test.strictSame(
      index.seenIn(layer),
      [],
      'it is forgotten as an open one: no restricted copy is left behind',
    )
  },
)

await t.test('restricted digests outlive any number of open ones', async (test) => {
  const index = createDigestIndex({ isRestricted, max: 10 })
  index.learn(layer, [embargoed])
  index.learn(digestOf('0'), [ocp])
  for (let number = 1; number <= 1000; number++) index.learn(digestOf(String(number)), [ocp])
  test.strictSame(index.seenIn(digestOf('0')), [], 'open ones are bounded')
  test.strictSame(index.seenIn(digestOf('1000')), [ocp])
  test.strictSame(index.seenIn(layer), [embargoed])
})

await t.test('restricted digests are bounded too, the least recently asked for goes', async (test) => {
  const index = createDigestIndex({ isRestricted, max: 2 })
  const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')]
  for (const digest of [a, b]) index.learn(digest, [embargoed])
  index.seenIn(a)
  index.learn(c, [embargoed])
  test.strictSame(index.seenIn(a), [embargoed])
  test.strictSame(index.seenIn(b), [])
  test.strictSame(index.seenIn(c), [embargoed])
})

await t.test('the places of a digest are bounded, the newest stay', async (test) => {
  const index = createDigestIndex({ isRestricted, maxPerDigest: 3 })
  const streams = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ namespace: 'ocp', name }))
  for (const stream of streams) index.learn(layer, [stream])
  test.strictSame(index.seenIn(layer), streams.slice(-3))
  index.learn(layer, streams)
  test.strictSame(index.seenIn(layer), streams.slice(-3), 'in one go as well')
  index.learn(layer, [{ namespace: 'ocp', name: 'c' }])
  index.learn(layer, [{ namespace: 'ocp', name: 'f' }])
  test.strictSame(
    index.seenIn(layer).map(({ name }) => name),
    ['e', 'c', 'f'],
    'what was seen again just now is not the oldest',
  )
})

await t.test('64 places unless told', async (test) => {
  const index = createDigestIndex({ isRestricted })
  index.learn(
    layer,
    Array.from({ length: 100 }, (_, number) => ({ namespace: 'ocp', name: String(number) })),
  )
  test.equal(index.seenIn(layer).length, 64)
  test.equal(index.seenIn(layer).at(-1)?.name, '99')
})

await t.test('a base layer does not close because many restricted streams hold it as well', async (test) => {
  const index = createDigestIndex({ isRestricted, maxPerDigest: 3 })
  index.learn(layer, [team, ocp])
  const hidden = ['a', 'b', 'c', 'd'].map((name) => ({ namespace: 'ocp-priv', name }))
  for (const stream of hidden) index.learn(layer, [stream])
  test.strictSame(index.seenIn(layer), [ocp, ...hidden.slice(-2)])
  test.strictSame(
    (() => {
      index.learn(digestOf('x'), hidden)
      return index.seenIn(digestOf('x'))
    })(),
    hidden.slice(-3),
  )
})

await t.test('equal image streams are one object, however they came', async (test) => {
  const index = createDigestIndex({ isRestricted })
  index.learn(digestOf('a'), [{ ...ocp }])
  index.learn(digestOf('b'), [{ ...ocp }])
  test.equal(index.seenIn(digestOf('a'))[0], index.seenIn(digestOf('b'))[0])
})

await t.test('what is learnt again is used again, though nothing about it is new', async (test) => {
  const index = createDigestIndex({ isRestricted, max: 2 })
  const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')]
  for (const digest of [a, b]) index.learn(digest, [embargoed])
  const before = index.seenIn(b)
  index.learn(a, [{ ...embargoed }])
  index.learn(c, [embargoed])
  test.strictSame(
    index.seenIn(a),
    [embargoed],
    'a restricted digest that is served all the time is not forgotten',
  )
  test.strictSame(index.seenIn(b), [])
  test.strictSame(before, [embargoed])
})

await t.test('what was learnt last, in the same order, changes nothing; anything else does', async (test) => {
  const index = createDigestIndex({ isRestricted })
  index.learn(layer, [team, ocp])
  const known = index.seenIn(layer)
  for (const places of [[ocp], [team, ocp], [{ ...ocp }]]) {
    index.learn(layer, places)
    test.equal(index.seenIn(layer), known)
  }
  index.learn(layer, [{ namespace: 'ocp' }])
  test.strictSame(
    index.seenIn(layer),
    [team, ocp, { namespace: 'ocp' }],
    'the namespace alone is not the stream',
  )
  index.learn(layer, [embargoed, ocp])
  test.strictSame(index.seenIn(layer), [team, { namespace: 'ocp' }, embargoed, ocp])
})
