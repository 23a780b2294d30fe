import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { ended, refused } from './fake-io.ts'
import { auditLoss, write } from './surroundings.ts'

await t.test('audit-report: a file, standard input, and a file that is neither', async (test) => {
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
  await refused(test, ['audit-report', path('garbage')], [/.*garbage: none of 1 lines is about a decision/])
  const dash = await ended(['audit-report', path('log'), '-', '--json'], { input: auditLoss })
  test.match(JSON.parse(dash.stdout), { losses: [{ count: 2 }] })
  writeFileSync(path('log.gz'), gzipSync(`${auditLoss}\n`))
  writeFileSync(path('cut.gz'), gzipSync(`${auditLoss}\n`).subarray(0, 30))
  test.match(JSON.parse((await ended(['audit-report', '--json', path('log.gz')])).stdout), {
    losses: [{ count: 1 }],
  })
  await refused(test, ['audit-report', path('cut.gz')], [/.*cut.gz cannot be read \(the file was cut off\)/])
  writeFileSync(path('plain.gz'), auditLoss)
  await refused(test, ['audit-report', path('plain.gz')], [/.*plain.gz cannot be read \(it is not gzip/])
  await refused(test, ['audit-report', path('away.gz')], [/.*away.gz cannot be read \(ENOENT\)/])
  await refused(
    test,
    ['audit-report', '--jsn'],
    ['--jsn is not a flag of audit-report; did you mean --json? --help lists them'],
  )
})

await t.test('audit-report says that it waits for input of the terminal', async (test) => {
  const waiting = 'Waiting for a log on standard input. Ctrl-D ends it.'
  const options = { input: auditLoss, isInputTerminal: true }
  for (const args of [[], ['-']])
    test.strictSame((await ended(['audit-report', ...args], options)).stderr, [waiting])
  const path = write(test, { log: auditLoss })
  test.strictSame((await ended(['audit-report', path('log')], options)).stderr, [])
})
