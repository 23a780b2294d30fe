import t from 'tap'
import { keyOf } from '../../src/digests/digest-key.ts'
import { SightingStores } from '../../src/digests/sighting-stores.ts'
import { Sightings, unseen } from '../../src/digests/sightings.ts'
import { at, attachedTo, digestOf } from './fixtures.ts'

const setUp = () => {
  const full: string[] = []
  const onFull = (namespace: string) => void full.push(namespace)
  return { full, stores: new SightingStores({ maxOpen: 2, maxPerNamespace: 2, onFull }) }
}
const keys = ['a', 'b', 'c', 'd'].map((name) => keyOf(digestOf(name)))
const [a, b, c, d] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]
const of = (namespace: string) => Sightings.none.with([{ location: at(namespace), seenAt: 0 }])

await t.test(
  'a full namespace evicts its own oldest sightings, is reported once, and stays closed',
  async (test) => {
    const { stores, full } = setUp()
    stores.restricted('one-priv').set(a, of('one-priv'))
    stores.close(a, 'tag')
    for (const key of [a, b, c, d]) {
      stores.restricted('two-priv').set(key, of('two-priv'))
      stores.close(key, 'tag')
    }
    test.strictSame(full, ['two-priv'])
    test.equal(stores.of(a).length, 1)
    test.match(stores.reachOf(a, 0), { isRestricted: true, imageStreams: [{ namespace: 'one-priv' }] })
    test.strictSame(stores.reachOf(b, 0), { ...unseen, isRestricted: true })
    test.match(stores.reachOf(d, 0), { isRestricted: true, imageStreams: [{ namespace: 'two-priv' }] })
    test.strictSame(stores.counts(), { digests: 0, restrictedDigests: 4 })
    test.equal(stores.isClosed(keyOf(digestOf('other'))), false)
  },
)

await t.test('open sightings have a bound of their own, and both kinds are joined', async (test) => {
  const { stores } = setUp()
  stores.restricted('one-priv').set(a, of('one-priv'))
  stores.close(a, 'tag')
  for (const key of [b, c, a]) stores.open.set(key, of('ocp'))
  test.match(stores.reachOf(a, 0), {
    isOpen: true,
    isRestricted: true,
    imageStreams: [{ namespace: 'one-priv' }, { namespace: 'ocp' }],
  })
  test.equal(stores.of(a).length, 2)
  test.strictSame(stores.reachOf(b, 0), unseen)
  test.strictSame(stores.counts(), { digests: 2, restrictedDigests: 1 })
})

await t.test('a tag of a restricted namespace, and a tag that only stands for a digest', async (test) => {
  const { stores } = setUp()
  stores.restricted('one-priv').set(a, of('one-priv'))
  const attached = Sightings.none.with([{ location: attachedTo(digestOf('image')), seenAt: 0 }])
  stores.restricted('').set(b, attached)
  stores.close(a, 'tag')
  stores.close(b, 'attached')
  test.equal(stores.hadRestrictedTag(a), true)
  test.equal(stores.hadRestrictedTag(b), false)
  test.equal(stores.hadRestrictedTag(c), false)
})
