import t from 'tap'
import {
  bytesOf,
  entryOf,
  listOf,
  numberOf,
  pairsOf,
  textOf,
  type Reply,
} from '../../src/shared-state/reply.ts'

await t.test('replies of the expected form', async (test) => {
  test.same(listOf([1, null]), [1, null])
  test.same(bytesOf('a'), Buffer.from('a'))
  test.same(bytesOf(Buffer.of(1)), Buffer.of(1))
  test.equal(textOf(Buffer.from('text')), 'text')
  test.equal(numberOf(3), 3)
  test.same(pairsOf(['a', 'b', 'c']), [[Buffer.from('a'), Buffer.from('b')]])
  test.same(entryOf(['1-0', ['a', 'b']]), { id: '1-0', pairs: [[Buffer.from('a'), Buffer.from('b')]] })
})

await t.test('replies of another form are refused', async (test) => {
  const wrong: readonly (readonly [(reply: Reply | undefined) => unknown, Reply | undefined])[] = [
    [listOf, 'text'],
    [listOf, undefined],
    [bytesOf, 1],
    [bytesOf, null],
    [textOf, []],
    [numberOf, '1'],
    [pairsOf, [1, 2]],
    [entryOf, null],
    [entryOf, ['1-0']],
  ]
  for (const [read, reply] of wrong)
    test.throws(() => read(reply), { code: 'PROTOCOL' }, JSON.stringify(reply))
})
