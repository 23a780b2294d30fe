import t from 'tap'
import { objectOf, watchedOf } from '../../src/kubernetes/watched-object.ts'

await t.test('objects of the API have names of text, or none', (test) => {
  for (const value of [{}, { metadata: { namespace: 'ocp', name: '4.15', resourceVersion: '7' } }])
    test.equal(watchedOf(value), value)
  test.end()
})

await t.test('attack: anything else is an error, which quotes nothing of it', (test) => {
  for (const value of [
    undefined,
    null,
    'text',
    7,
    { metadata: { name: 7 } },
    { metadata: { namespace: {} } },
  ])
    test.throws(() => watchedOf(value), { message: 'API server sent an object without valid names' })
  test.end()
})

await t.test('anything that is no object reads as an empty one', (test) => {
  for (const value of [undefined, null, 'text', 7]) test.strictSame(objectOf(value), {})
  test.end()
})
