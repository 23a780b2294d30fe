import t from 'tap'
import { typingErrorsIn } from '../../src/registry/typing-error.ts'

await t.test('a changed letter or two, and not another name', async (test) => {
  for (const [written, meant, errors] of [
    ['bsae', 'base', 2],
    ['my-taem', 'my-team', 2],
    ['basee', 'base', 1],
    ['base', 'base', undefined],
    ['ocp', 'ci', undefined],
    ['base', 'tools', undefined],
    ['a-long-name-of-a-team', 'another-name-of-a-team', undefined],
    ['', 'a', undefined],
  ] as const)
    test.equal(typingErrorsIn(written, meant), errors, `${written} ${meant}`)
})
