import t from 'tap'
import { ArgumentValues } from '../../src/mirror/argument-values.ts'

await t.test('the last text of a flag counts; all problems are told', async (t) => {
  const problems: string[] = []
  const values = new ArgumentValues(
    new Map([
      ['port', ['1', '2']],
      ['interval', ['often']],
    ]),
    problems,
  )
  t.equal(values.port('port'), 2)
  t.equal(values.text('config'), undefined)
  t.equal(values.duration('interval'), 0)
  t.strictSame(values.repository('qci'), { registry: 'quay.io', repository: 'openshift/ci' })
  t.strictSame(problems, ['--interval=often is not valid: expected a duration such as 10s or 5m'])
})
