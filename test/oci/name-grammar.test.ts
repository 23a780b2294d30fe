import t from 'tap'
import { isNameComponent, isTag, maxRepositoryLength, maxTagLength } from '../../src/oci/name-grammar.ts'

await t.test('tags', async (test) => {
  for (const text of ['a', '_', '4.5', 'A-b_c.D', 'x'.repeat(maxTagLength)]) test.ok(isTag(text), text)
  for (const text of ['', '.a', '-a', 'a/b', 'a:b', 'a b', 'x'.repeat(maxTagLength + 1)])
    test.notOk(isTag(text), text)
})

await t.test('components of a repository', async (test) => {
  for (const text of ['a', '4.5', 'a_b', 'a__b', 'a---b']) test.ok(isNameComponent(text), text)
  for (const text of ['', 'A', '_a', 'a.', 'a..b', 'a___b', 'a/b']) test.notOk(isNameComponent(text), text)
  test.equal(maxRepositoryLength, 255)
})
