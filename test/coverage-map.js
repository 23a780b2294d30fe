// test/<folder>/<stage>.test.ts is the one that covers src/<folder>/<stage>.ts; a scenario covers what it drives.
import { existsSync } from 'node:fs'

/** @param {string} test path of a test file, from the project's root */
export default (test) => {
  const source = test.replace(/^test\//, 'src/').replace(/\.test\.ts$/, '.ts')
  return existsSync(source) ? source : null
}
