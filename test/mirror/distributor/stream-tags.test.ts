import t from 'tap'
import { StreamTagIndex } from '../../../src/mirror/distributor/stream-tags.ts'
import { hex } from '../../kubernetes/watching.ts'

const tags = (images: Readonly<Record<string, string>>, setAt = 0) =>
  new Map(Object.entries(images).map(([tag, letter]) => [tag, { image: hex(letter) as never, setAt }]))

await t.test('changes are reported by tag, and removed ImageStreams are forgotten', async (t) => {
  const changes: string[] = []
  let lists = 0
  const index = new StreamTagIndex({
    onChange: (changed) => changes.push(...changed),
    onListed: () => lists++,
  })
  const told = () => changes.splice(0).toSorted()
  const a = { namespace: 'ocp', name: 'a' }
  const b = { namespace: 'ocp', name: 'b' }
  index.put(b, tags({ x: '1', y: '2' }))
  index.put(a, tags({ x: '1' }))
  index.put({ namespace: 'ocp', name: 'empty' }, tags({}))
  index.put({ namespace: 'ocp', name: 'c' }, tags({ x: '1' }))
  t.strictSame(told(), ['ocp/a:x', 'ocp/b:x', 'ocp/b:y', 'ocp/c:x'])
  t.strictSame(
    index.entries().map(([stream]) => stream),
    ['ocp/a', 'ocp/b', 'ocp/c'],
  )
  t.equal(index.tagCount(), 4)
  index.remove({ namespace: 'ocp', name: 'c' })
  told()
  index.put(b, tags({ x: '1', y: '3' }))
  t.strictSame(told(), ['ocp/b:y'])
  index.put(b, tags({ x: '1', y: '3' }))
  t.strictSame(told(), [])
  index.put(b, tags({ x: '1', y: '3' }, 1))
  t.strictSame(told(), ['ocp/b:x', 'ocp/b:y'], 'another time')
  index.put(b, tags({ x: '1' }, 1))
  t.strictSame(told(), ['ocp/b:y'])
  index.remove(a)
  t.strictSame(told(), ['ocp/a:x'])
  index.remove(a)
  index.put(a, tags({ x: '1' }))
  told()
  index.listed([a])
  t.strictSame(told(), ['ocp/b:x'], 'an ImageStream that is not in the list')
  t.equal(lists, 1)
  t.equal(index.tagCount(), 1)
})
