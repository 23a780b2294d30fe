import { createHash } from 'node:crypto'
import t from 'tap'
import { createRestricted } from '../../src/access/restricted.ts'
import { createWatchedDigests, keyOf } from '../../src/access/watched-digests.ts'
import { parseDigest } from '../../src/reference.ts'

const isRestricted = createRestricted(['*-priv'])
const digestOf = (text: string, algorithm = 'sha256') =>
  parseDigest(`${algorithm}:${createHash(algorithm).update(text).digest('hex')}`)
const [a, b, c, d] = [digestOf('a'), digestOf('b'), digestOf('c'), digestOf('d')]
const ocp = { namespace: 'ocp', name: '4.15' }
const team = { namespace: 'my-team', name: 'app' }
const embargoed = { namespace: 'ocp-priv', name: '4.15' }

await t.test('a digest is where streams name it, until they do not', async (test) => {
  const watched = createWatchedDigests({ isRestricted })
  test.strictSame(watched.seenIn(a), [])
  watched.put(ocp, [a, b, a])
  watched.put(team, [b])
  watched.put(embargoed, [b])
  test.strictSame(watched.seenIn(a), [ocp])
  test.strictSame(watched.seenIn(b), [ocp, team, embargoed])
  test.strictSame(watched.counts(), { digests: 2, imageStreams: 3, leftOut: 0 })
  watched.put({ ...ocp }, [a, c])
  test.strictSame(watched.seenIn(b), [team, embargoed])
  test.strictSame(watched.seenIn(c), [ocp])
  watched.remove({ ...team })
  test.strictSame(watched.seenIn(b), [embargoed])
  watched.remove(team)
  watched.put(ocp, [])
  test.strictSame([a, c].map(watched.seenIn), [[], []])
  watched.remove(embargoed)
  test.strictSame(watched.counts(), { digests: 0, imageStreams: 0, leftOut: 0 }, 'nothing is left behind')
})

await t.test('a list that lacks a stream forgets it', async (test) => {
  const watched = createWatchedDigests({ isRestricted })
  watched.put(ocp, [a, b])
  watched.put(team, [b])
  watched.retain(new Set([keyOf(team)]))
  test.strictSame([a, b].map(watched.seenIn), [[], [team]])
})

await t.test('sha512 is a digest too, and shares no key with sha256', async (test) => {
  const watched = createWatchedDigests({ isRestricted })
  const long = digestOf('a', 'sha512')
  watched.put(ocp, [long])
  test.strictSame([long, a].map(watched.seenIn), [[ocp], []])
})

await t.test('full: what is known stays, what comes is left out, and that is said once', async (test) => {
  const said: boolean[] = []
  const watched = createWatchedDigests({ isRestricted, max: 2, onFull: (full) => void said.push(full) })
  watched.put(ocp, [a, b])
  watched.put(team, [a, c])
  test.strictSame([a, b, c].map(watched.seenIn), [[ocp], [ocp], []])
  test.strictSame(watched.counts(), { digests: 2, imageStreams: 2, leftOut: 2 })
  watched.put(ocp, [a, b, d])
  test.strictSame(watched.counts(), { digests: 2, imageStreams: 2, leftOut: 3 })
  test.strictSame(said, [true])
  watched.put(ocp, [a])
  watched.put(team, [c])
  test.strictSame([a, b, c].map(watched.seenIn), [[ocp], [], [team]])
  test.strictSame(said, [true, false])
  watched.put(team, [c, d])
  watched.remove(team)
  test.strictSame(said, [true, false, true, false], 'a stream that is gone wants no room')
})

await t.test('restricted namespaces have room that others cannot fill', async (test) => {
  const watched = createWatchedDigests({ isRestricted, max: 2 })
  watched.put(ocp, [a, b, c])
  watched.put(embargoed, [c, d, digestOf('e')])
  test.strictSame([c, d].map(watched.seenIn), [[embargoed], [embargoed]])
  test.equal(watched.counts().leftOut, 2)
  watched.put(team, [d])
  test.strictSame(watched.seenIn(d), [embargoed], 'and no open place opens what is known beyond the bound')
})

await t.test('half a million digests find room', async (test) => {
  const watched = createWatchedDigests({ isRestricted })
  const digests = Array.from({ length: 1000 }, (_, stream) =>
    Array.from({ length: 500 }, (__, image) =>
      parseDigest(`sha256:${(stream * 500 + image).toString(16).padStart(64, '0')}`),
    ),
  )
  for (const [stream, named] of digests.entries())
    watched.put({ namespace: 'ocp', name: String(stream) }, named)
  test.strictSame(watched.counts(), { digests: 500_000, imageStreams: 1000, leftOut: 0 })
  test.strictSame(watched.seenIn(digests[999]![499]!), [{ namespace: 'ocp', name: '999' }])
})
