import t from 'tap'
import { printable, statusMessage } from '../../src/kubernetes/foreign-text.ts'

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

await t.test('the message of a Status, and nothing of another text', async (test) => {
  test.equal(statusMessage('{"message":"no \\n hunter2"}', 'hunter2'), '"no ? (token)"')
  for (const text of ['', '<html>', 'null', '{"message":1}'])
    test.equal(statusMessage(text), 'without a reason')
})
