/**
 * Each test file is run once: by the suite of its room, or by itself.
 */
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import t from 'tap'
import { suiteNames, testsInSuites } from '../suites/suites.ts'

const { tap } = JSON.parse(readFileSync('package.json', 'utf8')) as { tap: { include: string[] } }

await t.test('every test file is run, and none of them twice', async (t) => {
  const single = globSync(tap.include).filter((file) => file.endsWith('.test.ts'))
  t.strictSame([...single, ...testsInSuites()].toSorted(), globSync('test/**/*.test.ts').toSorted())
})

await t.test('every suite has a file', async (t) => {
  const suites = globSync('test/suites/*.suite.ts')
  t.strictSame(
    suites.map((suite) => basename(suite, '.suite.ts')),
    suiteNames.toSorted(),
  )
  for (const suite of suites) t.match(readFileSync(suite, 'utf8'), 'await run(import.meta.filename)')
})
