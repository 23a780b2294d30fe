// A suite runs many test files in one process: three quarters of what a small file costs by itself is the start of its process.
import { globSync } from 'node:fs'
import { basename, resolve } from 'node:path'

/**
 * Patterns below `test` of the files that each suite runs, one file after the other. The runner starts suites in the order of their
 * names: those that begin with a digit take longest.
 */
const patterns: Readonly<Record<string, readonly string[]>> = {
  '1-scenarios-cache': ['scenarios/{cache,cache-crash,cache-removal}.test.ts'],
  '1-scenarios-floods': ['scenarios/{floods,overload,request-counts,restart}.test.ts'],
  '1-scenarios-rights': [
    'scenarios/{access-matrix,anonymous,attacks,audit,closed-list,denied,explain,families,lists,robots}.test.ts',
  ],
  '1-scenarios-upstream': [
    'scenarios/{broken-blobs,broken-images,cached-manifests,faults,upstream-failures}.test.ts',
  ],
  '2-proxy': ['proxy/*.test.ts', 'scenarios/{image-streams,pull,realm,replicas,traces}.test.ts'],
  access: ['access/**/*.test.ts', 'audit/**/*.test.ts', 'explain/**/*.test.ts'],
  digests: ['digests/**/*.test.ts'],
  kubernetes: ['kubernetes/**/*.test.ts'],
  mirror: ['mirror/**/*.test.ts'],
  project: ['project/*.test.ts'],
  registry: ['registry/**/*.test.ts'],
  sandbox: ['cli/*.test.ts', 'credential-helper/*.test.ts', 'sandbox/**/*.test.ts'],
  server: ['page/**/*.test.ts', 'server/**/*.test.ts'],
  'shared-state': ['shared-state/**/*.test.ts'],
  storage: ['storage/**/*.test.ts'],
  'upstream-stages': ['upstream/*.test.ts', 'upstream/{cache,rate-limit,resilience,robot}/**/*.test.ts'],
  'upstream-wire': ['upstream/{client,http1}/**/*.test.ts'],
  words: ['{oci,concurrency,secrets,telemetry,tracing,config}/**/*.test.ts'],
}

/** @param suite path of its file: `test/suites/access.suite.ts` */
export const testsOf = (suite: string): string[] => {
  const name = basename(suite, '.suite.ts')
  const own = patterns[name]
  if (own === undefined) throw new Error(`no suite is called ${name}`)
  return own.flatMap((pattern) => globSync(`test/${pattern}`)).toSorted()
}

/** Every test that a suite runs. */
export const testsInSuites = (): string[] =>
  Object.keys(patterns).flatMap((name) => testsOf(`test/suites/${name}.suite.ts`))

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
