import t from 'tap'
import { printable } from '../../src/kubernetes/foreign-text.ts'

await t.test('a foreign text is cut, printable, and without the secret', async (test) => {
  test.equal(printable('as it is'), 'as it is')
  test.equal(printable('a\nb\u001b[31m\u202ec\u0000'), 'a?b?[31m?c?')
  test.equal(printable('x'.repeat(400)), `${'x'.repeat(300)}..`)
  test.equal(printable('abc', '', 2), 'ab..')
  test.equal(printable('no hunter2 here, hunter2', 'hunter2'), 'no (token) here, (token)')
  test.equal(
    printable(`${'x'.repeat(297)}hunter2`, 'hunter2'),
    `${'x'.repeat(297)}(to..`,
    'nor its beginning',
  )
})
