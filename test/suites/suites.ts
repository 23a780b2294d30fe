// A suite runs many test files in one process. A process of its own costs two to three seconds of CPU before its first test: it loads and
// compiles the modules. So there are as few suites as keep the cores busy while tests wait.
import { globSync } from 'node:fs'
import { basename, resolve } from 'node:path'

const aboutAccess =
  'access-matrix,anonymous,attacks,audit,cache,cache-removal,closed-list,denied,explain,families,lists,mirrors,robots'

/** `.ci/run` lets them inject more faults than others do: two processes, so that neither is the last one for long. */
const faultsOfPulls = 'faults,cache-crash'
const faultsOfCache = 'cache-faults'

/** Their tests run beside each other, so they come last: no other test shares its event loop with them. */
const atOnce = 'cached-manifests,upstream-failures'

/**
 * Patterns below `test` of the files that each suite runs, one file after the other, in this order. Suites of scenarios have no files in
 * `src` of their own, so they run without the cost of measuring coverage.
 */
const patterns: Readonly<Record<string, readonly string[]>> = {
  mirror: ['{kubernetes,mirror}/**/*.test.ts'],
  programs: ['{bin,cli,credential-helper,proxy,sandbox}/**/*.test.ts'],
  project: ['project/*.test.ts'],
  pull: ['{access,audit,concurrency,config,explain,oci,page,registry,secrets,server,upstream}/**/*.test.ts'],
  'scenarios-access': [`scenarios/{${aboutAccess}}.test.ts`],
  'scenarios-cache-faults': [`scenarios/${faultsOfCache}.test.ts`],
  'scenarios-faults': [`scenarios/{${faultsOfPulls}}.test.ts`],
  'scenarios-load': [
    `scenarios/!(${[aboutAccess, faultsOfPulls, faultsOfCache, atOnce].join().replaceAll(',', '|')}).test.ts`,
    `scenarios/{${atOnce}}.test.ts`,
  ],
  state: [
    // First, while the heap is small: a snapshot has all of it.
    'telemetry/heap-snapshot.test.ts',
    '{digests,shared-state,storage,telemetry,tracing}/**/*.test.ts',
  ],
}

/** @param suite path of its file: `test/suites/access.suite.ts` */
export const testsOf = (suite: string): string[] => {
  const name = basename(suite, '.suite.ts')
  const own = patterns[name]
  if (own === undefined) throw new Error(`no suite is called ${name}`)
  return [...new Set(own.flatMap((pattern) => globSync(`test/${pattern}`).toSorted()))]
}

export const suiteNames: readonly string[] = Object.keys(patterns)

/** Every test that a suite runs. */
export const testsInSuites = (): string[] =>
  suiteNames.flatMap((name) => testsOf(`test/suites/${name}.suite.ts`))

/** @param suite path of the running file */
export const run = async (suite: string): Promise<void> => {
  // Not above: the runner imports this file too.
  const { default: t } = await import('tap')
  for (const test of testsOf(suite)) {
    // With a teardown at the root, tap ends everything after the file that has it, and reports success.
    if (t.ended) throw new Error(`${test} was not run: a file before it has a teardown at its root`)
    await import(resolve(test))
  }
}
