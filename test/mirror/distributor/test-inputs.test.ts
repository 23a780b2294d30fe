import t from 'tap'
import { isSameInputs, noInputs, testInputs } from '../../../src/mirror/distributor/test-inputs.ts'

const part = (key: string | undefined, images: readonly string[], uses: readonly string[] = []) => ({
  key,
  images,
  uses,
})

await t.test('parts that are used, and those that they use', async (t) => {
  const { tags, streams } = testInputs([
    { parts: [part(undefined, ['a/b:1'], ['ref r', 'ref none'])], streams: ['a/b'] },
    { parts: [part('ref r', ['a/b:2'], ['observer o', 'ref r'])], streams: [] },
    { parts: [part('observer o', ['a/b:3']), part('ref unused', ['a/b:4'])], streams: ['a/b', 'a/c'] },
  ])
  t.strictSame([...tags].toSorted(), ['a/b:1', 'a/b:2', 'a/b:3'])
  t.strictSame([...streams], ['a/b', 'a/c'])
})

await t.test('whether two are the same', async (t) => {
  const of = (tags: readonly string[], streams: readonly string[] = []) => ({
    tags: new Set(tags),
    streams: new Set(streams),
  })
  t.ok(isSameInputs(noInputs, of([])))
  t.ok(isSameInputs(of(['a', 'b'], ['c']), of(['b', 'a'], ['c'])))
  t.notOk(isSameInputs(of(['a']), of(['b'])))
  t.notOk(isSameInputs(of(['a']), of(['a', 'b'])))
  t.notOk(isSameInputs(of(['a'], ['c']), of(['a'], ['d'])))
})
