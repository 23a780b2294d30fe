// test/<room>/<file>.test.ts covers src/<room>/<file>.ts. A suite covers every file of its folders that has such a test; a scenario
// covers what it drives.
import { existsSync } from 'node:fs'
import { testsOf } from './suites/suites.ts'

const sourceOf = (/** @type {string} */ test) => test.replace(/^test\//, 'src/').replace(/\.test\.ts$/, '.ts')

/** @param {string} test path of a test file, from the project's root */
export default (test) => {
  const sources = (test.startsWith('test/suites/') ? testsOf(test) : [test]).map(sourceOf).filter(existsSync)
  return sources.length === 0 ? null : sources
}
