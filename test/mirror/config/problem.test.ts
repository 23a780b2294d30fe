import t from 'tap'
import { formatProblem, inOrder, type Problem } from '../../../src/mirror/config/problem.ts'

const at = (line: number, column: number, message: string): Problem => ({
  severity: 'error',
  position: { line, column },
  subject: '',
  message,
  cure: '',
})

await t.test('problems are in the order of the file', async (t) => {
  const problems = [at(2, 1, 'd'), at(1, 5, 'c'), at(1, 1, 'b'), at(1, 1, 'a')]
  t.same(
    inOrder(problems).map(({ message }) => message),
    ['a', 'b', 'c', 'd'],
  )
})

await t.test('a problem as a line', (t) => {
  t.equal(formatProblem('a.yaml', { ...at(2, 3, 'b'), cure: 'c' }), 'a.yaml:2:3: b; c')
  t.end()
})
