/**
 * The files with the credentials of the robots: two files, or a pull secret.
 */
import { parseDockerConfig } from '../secrets/docker-config.ts'
import type { FileKind } from '../secrets/file-permissions.ts'
import { cautionsAboutRobots, parseRobots, type RobotCredential } from '../secrets/robot-credential.ts'
import type { PartialValuesOf } from './flag-values.ts'
import type { flags } from './flags.ts'
import { flagFiles, type FlagFiles } from './flag-files.ts'

type RobotValues = Pick<
  PartialValuesOf<typeof flags>,
  'robotUsernameFile' | 'robotPasswordFile' | 'robotDockerconfigFile' | 'upstream' | 'upstreamRepository'
>

/**
 * @param problems is added to, if flags are missing or contradict each other
 * @returns undefined with a problem
 */
export const robotFiles = (
  values: RobotValues,
  problems: string[],
): FlagFiles<readonly RobotCredential[]> | undefined =>
  values.robotDockerconfigFile === undefined
    ? twoFiles(values, problems)
    : pullSecret(values.robotDockerconfigFile, values, problems)

const pullSecret = (path: string, values: RobotValues, problems: string[]) => {
  const { robotUsernameFile, robotPasswordFile, upstream, upstreamRepository } = values
  if (robotUsernameFile !== undefined || robotPasswordFile !== undefined)
    problems.push(
      '--robot-dockerconfig-file replaces --robot-username-file and --robot-password-file: give one or the other two',
    )
  // If these two are not valid, there is a problem already, and the entry of the file to look for is not known.
  if (upstream === undefined || upstreamRepository === undefined) return undefined
  return robotsFrom(
    '--robot-dockerconfig-file',
    [[path, 'secret']],
    parseDockerConfig(upstream, upstreamRepository),
  )
}

const twoFiles = (
  { robotUsernameFile: username, robotPasswordFile: password }: RobotValues,
  problems: string[],
) => {
  const areBothMissing = username === undefined && password === undefined
  const orElse = areBothMissing ? ', from two files or from --robot-dockerconfig-file' : ''
  for (const [name, path] of [
    ['username', username],
    ['password', password],
  ])
    if (path === undefined)
      problems.push(
        `--robot-${name}-file is missing: upstream is read with the credential of a robot${orElse}`,
      )
  if (username === undefined || password === undefined) return undefined
  return robotsFrom(
    '--robot-username-file and --robot-password-file',
    [
      [username, 'public'],
      [password, 'secret'],
    ],
    parseRobots,
  )
}

const robotsFrom = (
  name: string,
  files: readonly (readonly [path: string, kind: FileKind])[],
  parse: (contents: readonly string[]) => readonly RobotCredential[],
) => flagFiles(name, files, parse, (contents) => cautionsAboutRobots(parse(contents)))
