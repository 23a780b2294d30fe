/** Configurations for the tests of its checks. */
import { parseMirrorConfig } from '../../../src/mirror/config/parse.ts'
import type { MirrorConfig } from '../../../src/mirror/config/mirror-config.ts'

/** @throws {Error} where it has problems of form */
export const configOf = (yaml: string): MirrorConfig => {
  const { config, problems } = parseMirrorConfig(yaml)
  const [problem] = problems.filter(({ severity }) => severity === 'error')
  if (problem !== undefined) throw new Error(problem.message)
  return config
}

/** `supplementalCIImages` with a source for each target. */
export const supplemental = (sources: Readonly<Record<string, string>>): string =>
  `supplementalCIImages:\n${Object.entries(sources)
    .map(([target, image]) => `  ${target}: {image: "${image}"}\n`)
    .join('')}`
