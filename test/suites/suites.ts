// The tests of a room run in one process: three quarters of what a file costs by itself is the start of its process.
import { globSync } from 'node:fs'
import { basename, resolve } from 'node:path'

/** The folders of `test` whose files each suite runs, one after the other. */
const folders: Readonly<Record<string, readonly string[]>> = {
  words: ['oci', 'concurrency', 'secrets', 'telemetry', 'config'],
  access: ['access', 'audit', 'explain'],
  digests: ['digests'],
  kubernetes: ['kubernetes'],
  registry: ['registry'],
  sandbox: ['sandbox'],
  server: ['server'],
  'shared-state': ['shared-state'],
  'upstream-stages': ['upstream/cache', 'upstream/rate-limit', 'upstream/resilience', 'upstream/robot'],
  'upstream-wire': ['upstream/client', 'upstream/http1'],
}

/** @param suite path of its file: `test/suites/access.suite.ts` */
export const testsOf = (suite: string): string[] => {
  const name = basename(suite, '.suite.ts')
  const own = folders[name]
  if (own === undefined) throw new Error(`no suite is called ${name}`)
  return own.flatMap((folder) => globSync(`test/${folder}/**/*.test.ts`)).toSorted()
}

/** Every test that a suite runs. */
export const testsInSuites = (): string[] =>
  Object.keys(folders).flatMap((name) => testsOf(`test/suites/${name}.suite.ts`))

/** @param suite path of the running file */
export const run = async (suite: string): Promise<void> => {
  for (const test of testsOf(suite)) await import(resolve(test))
}
