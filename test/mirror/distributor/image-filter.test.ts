import t from 'tap'
import { ImageFilter } from '../../../src/mirror/distributor/image-filter.ts'

const options = {
  additionalTags: new Set(['tag/a:b', 'ignored/a:b']),
  additionalStreams: new Set(['stream/a', 'ignored/a']),
  additionalNamespaces: new Set(['space', 'ignored']),
  ignoredTags: new Set(['ignored/a:b', 'space/a:x', 'used/a:x', 'release/a:x']),
  onlyValidManifests: true,
  releaseRepository: undefined,
}
const inputs = { tags: new Set(['used/a:b', 'used/a:x']), streams: new Set(['release/a']) }

await t.test('the first filter that says something decides', async (t) => {
  const filter = new ImageFilter(options, inputs)
  const of = (target: string) => {
    const [namespace = '', name = '', tag = ''] = target.split(/[/:]/)
    return filter.verdictOf({ namespace, name, tag })
  }
  const wanted: Readonly<Record<string, RegExp>> = {
    'tag/a:b': /additional-image-stream-tag names it/,
    'space/a:b': /additional-image-stream-namespace names it/,
    'used/a:b': /a test of ci-operator uses it/,
    'stream/a:b': /additional-image-stream names it/,
    'release/a:b': /takes a release from its ImageStream/,
  }
  for (const [target, reason] of Object.entries(wanted))
    t.match(of(target), { isWanted: true, reason }, target)
  for (const target of options.ignoredTags)
    t.match(of(target), { isWanted: false, reason: /ignore-image-stream-tag names it/ }, target)
  for (const target of ['tag/a:c', 'used/a:c', 'stream/b:b', 'release/b:b', 'other/a:b'])
    t.match(of(target), { isWanted: false, reason: /no filter of the controller selects it/ }, target)
  t.equal(new ImageFilter(options).verdictOf({ namespace: 'used', name: 'a', tag: 'b' }).isWanted, false)
})
