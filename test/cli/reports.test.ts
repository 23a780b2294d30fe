import t from 'tap'
import { ended, refused } from './fake-io.ts'
import { auditLoss, write } from './surroundings.ts'

await t.test('audit-report: a file, standard input, and what is neither', async (test) => {
  const path = write(test, { log: `garbage\n${auditLoss}\n`, garbage: 'garbage\n' })
  const read = await ended(['audit-report', path('log')])
  test.strictSame([read.code, read.stderr], [0, []])
  const command =
    'oc policy add-role-to-user system:image-puller system:serviceaccount:my-team:default -n ocp'
  test.match(read.stdout, command)
  const { code, stdout } = await ended(['audit-report', '--json'], { input: `${auditLoss}\n${auditLoss}` })
  test.equal(code, 0)
  test.match(JSON.parse(stdout), { losses: [{ count: 2, keptBy: [command] }] })
  await refused(test, ['audit-report', path('away')], [`${path('away')} cannot be read (ENOENT)`])
  await refused(test, ['audit-report', path('garbage')], [/.*garbage: of 1 lines none is about a decision/])
  await refused(test, ['audit-report', '--jsn'], ['--jsn is not a flag of audit-report; --help lists them'])
})
