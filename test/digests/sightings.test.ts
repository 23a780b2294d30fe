import t from 'tap'
import { isRestricted, joinReaches, Sightings, unseen, type Sighting } from '../../src/digests/sightings.ts'
import { at, attachedTo, digestOf, ofNobody } from './fixtures.ts'

const hourMs = 3600_000
const dayMs = 24 * hourMs
const see = (location: Sighting['location'], seenAt = 0): Sighting => ({ location, seenAt })
const ocp = at('ocp')
const embargoed = at('ocp-priv')
const spelled = (sightings: Sightings) => sightings.list.map(({ location }) => JSON.stringify(location))

await t.test('the reach of a digest by its locations', async (test) => {
  const digest = digestOf('image')
  const rows = [
    [[], unseen],
    [[ocp], { ...unseen, imageStreams: [{ namespace: 'ocp', name: 'app' }], isOpen: true }],
    [[embargoed], { ...unseen, imageStreams: [{ namespace: 'ocp-priv', name: 'app' }], isRestricted: true }],
    [[ofNobody], { ...unseen, isUnowned: true }],
    [[attachedTo(digest)], { ...unseen, attachedTo: [digest] }],
  ] as const
  for (const [locations, expected] of rows)
    test.strictSame(Sightings.none.with(locations.map((one) => see(one))).reach(0), expected)
  const all = Sightings.none.with(rows.flatMap(([locations]) => locations.map((one) => see(one))))
  test.strictSame(all.reach(0), joinReaches(rows.map(([, reach]) => reach)))
  test.strictSame([ocp, embargoed, ofNobody, attachedTo(digest)].map(isRestricted), [
    false,
    true,
    false,
    false,
  ])
})

await t.test(
  'open sightings live a day, restricted ones thirty days, since they were last seen',
  async (test) => {
    const both = Sightings.none.with([see(ocp), see(embargoed)])
    const rows = [
      [0, true, true],
      [dayMs - 1, true, true],
      [dayMs, false, true],
      [30 * dayMs - 1, false, true],
      [30 * dayMs, false, false],
    ] as const
    for (const [now, isOpen, closes] of rows)
      test.match(both.reach(now), { isOpen, isRestricted: closes }, String(now))
    test.equal(both.reach(30 * dayMs), unseen)
    const again = both.with([see(ocp, dayMs)])
    test.match(
      [dayMs, 2 * dayMs - 1, 2 * dayMs].map((now) => again.reach(now).isOpen),
      [true, true, false],
    )
  },
)

await t.test('the reach is computed once while it is valid', async (test) => {
  const sightings = Sightings.none.with([see(ocp)])
  test.equal(sightings.reach(0), sightings.reach(dayMs - 1))
})

await t.test('the same object is returned if nothing is new', async (test) => {
  const sightings = Sightings.none.with([see(ocp, hourMs), see(embargoed, hourMs)])
  test.equal(sightings.with([]), sightings)
  test.equal(sightings.with([see(ocp, hourMs)]), sightings)
  test.equal(sightings.with([see(embargoed, 0), see(ocp, 1)]), sightings, 'old news')
  const later = sightings.with([see(ocp, 2 * hourMs), see(embargoed, 0)])
  test.not(later, sightings)
  test.strictSame(
    later.list.map(({ seenAt }) => seenAt),
    [hourMs, 2 * hourMs],
  )
})

await t.test('the most recent sighting is the last one, in whichever order they arrive', async (test) => {
  const [a, b, c] = [see(at('a'), 1), see(at('b'), 2), see(at('c'), 3)]
  const expected = spelled(Sightings.none.with([a, b, c]))
  test.strictSame(spelled(Sightings.none.with([c]).with([a]).with([b])), expected)
  test.strictSame(spelled(Sightings.none.with([c, b, a])), expected)
})

await t.test('the list is bounded: the newest sightings, and one of each namespace', async (test) => {
  const early = [see(at('early', 'one')), see(at('early', 'two')), see(ofNobody)]
  const flood = Array.from({ length: 1000 }, (_, index) => see(at('busy', String(index)), 1))
  const sightings = Sightings.none.with([...early, ...flood])
  test.equal(sightings.list.length, 257)
  test.strictSame(sightings.list[0]?.location, at('early', 'two'))
  test.strictSame(sightings.list.at(-1)?.location, at('busy', '999'))
  const namespaces = Array.from({ length: 1500 }, (_, index) => see(at(`n${index}`), index))
  const many = Sightings.none.with(namespaces)
  test.equal(many.list.length, 1024, 'as far as there are not too many of them')
  test.strictSame(many.list[0]?.location, at('n476'))
})
