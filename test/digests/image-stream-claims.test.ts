import t from 'tap'
import { createImageStreamClaims, keyOf } from '../../src/digests/image-stream-claims.ts'
import { parseDigest, type Digest } from '../../src/oci/reference.ts'
import { digestOf, isPrivate } from './fixtures.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((text) => digestOf(text)) as [Digest, Digest, Digest, Digest]
const ocp = { namespace: 'ocp', name: '4.15' }
const team = { namespace: 'my-team', name: 'app' }
const embargoed = { namespace: 'ocp-priv', name: '4.15' }
/** Image streams with one tag each, named after their position. */
const claims = (...digests: readonly Digest[]) =>
  digests.map((digest, index) => ({ digest, tag: `t${index}` }))
const setUp = (options = {}) => {
  const known = createImageStreamClaims({ isRestricted: isPrivate, ...options })
  const of = (digest: Digest) =>
    known.of(digest).map(({ namespace, name, tag }) => `${namespace}/${name}:${tag}`)
  return { ...known, of }
}

await t.test('a digest is claimed by a stream until the stream changes', async (test) => {
  const known = setUp()
  test.strictSame(known.of(a), [])
  known.put(ocp, claims(a, b, a))
  known.put(team, claims(b))
  known.put(embargoed, claims(b))
  test.strictSame(known.of(a), ['ocp/4.15:t0'], 'the first tag counts')
  test.strictSame(known.of(b), ['ocp/4.15:t1', 'my-team/app:t0', 'ocp-priv/4.15:t0'])
  test.strictSame(known.counts(), { digests: 2, imageStreams: 3, notIndexed: 0 })
  known.put({ ...ocp }, claims(c, a))
  test.strictSame(known.of(b), ['my-team/app:t0', 'ocp-priv/4.15:t0'])
  test.strictSame([known.of(c), known.of(a)], [['ocp/4.15:t0'], ['ocp/4.15:t1']], 'a tag that moved')
  known.remove({ ...team })
  test.strictSame(known.of(b), ['ocp-priv/4.15:t0'])
  known.remove(team)
  known.put(ocp, [])
  test.strictSame([a, c].map(known.of), [[], []])
  known.remove(embargoed)
  test.strictSame(known.counts(), { digests: 0, imageStreams: 0, notIndexed: 0 }, 'nothing is left behind')
})

await t.test('a stream that is not in a list is removed', async (test) => {
  const known = setUp()
  known.put(ocp, claims(a, b))
  known.put(team, claims(b))
  known.retain(new Set([keyOf(team)]))
  test.strictSame([a, b].map(known.of), [[], ['my-team/app:t0']])
})

await t.test('sha512 digests share no key with sha256 digests', async (test) => {
  const known = setUp()
  const long = digestOf('a', 'sha512')
  known.put(ocp, claims(long))
  test.strictSame([long, a].map(known.of), [['ocp/4.15:t0'], []])
})

await t.test(
  'attack: a claim that is no tag of QCI is dropped, because it would become part of a path at upstream',
  async (test) => {
    const known = setUp()
    for (const tag of ['', '../../other/secret/manifests/latest', 'a?b', 'a b', 'ä', 'x'.repeat(120)]) {
      known.put(ocp, [{ digest: a, tag }])
      test.strictSame(known.of(a), tag === '' ? ['ocp/4.15:'] : [], tag)
    }
    known.put(ocp, [
      { digest: a, tag: '../x' },
      { digest: a, tag: 'right' },
    ])
    test.strictSame(known.of(a), ['ocp/4.15:right'])
  },
)

await t.test('full: old claims stay, new claims are not indexed, and this is reported once', async (test) => {
  const said: boolean[] = []
  const known = setUp({ max: 2, onFull: (full: boolean) => void said.push(full) })
  known.put(ocp, claims(a, b))
  known.put(team, claims(a, c))
  test.strictSame([a, b, c].map(known.of), [['ocp/4.15:t0'], ['ocp/4.15:t1'], []])
  test.strictSame(known.counts(), { digests: 2, imageStreams: 2, notIndexed: 2 })
  known.put(ocp, claims(a, b, d))
  test.strictSame(known.counts(), { digests: 2, imageStreams: 2, notIndexed: 3 })
  test.strictSame(said, [true])
  known.put(ocp, claims(a))
  known.put(team, claims(c))
  test.strictSame([a, b, c].map(known.of), [['ocp/4.15:t0'], [], ['my-team/app:t0']])
  test.strictSame(said, [true, false])
  known.put(team, claims(c, d))
  known.remove(team)
  test.strictSame(said, [true, false, true, false], 'a stream that is gone wants no room')
  const untold = setUp({ max: 0 })
  untold.put(ocp, claims(a))
  test.equal(untold.counts().notIndexed, 1)
})

await t.test('restricted namespaces have slots that others cannot fill', async (test) => {
  const known = setUp({ max: 2 })
  known.put(ocp, claims(a, b, c))
  known.put(embargoed, claims(c, d, digestOf('e')))
  test.strictSame([c, d].map(known.of), [['ocp-priv/4.15:t0'], ['ocp-priv/4.15:t1']])
  test.equal(known.counts().notIndexed, 2)
})

await t.test('half a million digests fit', async (test) => {
  const known = setUp()
  const digests = Array.from({ length: 1000 }, (_, stream) =>
    Array.from({ length: 500 }, (__, image) =>
      parseDigest(`sha256:${(stream * 500 + image).toString(16).padStart(64, '0')}`),
    ),
  )
  for (const [stream, named] of digests.entries())
    known.put({ namespace: 'ocp', name: String(stream) }, claims(...named))
  test.strictSame(known.counts(), { digests: 500_000, imageStreams: 1000, notIndexed: 0 })
  test.strictSame(known.of(digests[999]![499]!), ['ocp/999:t499'])
})
