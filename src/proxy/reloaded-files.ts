/**
 * Reads the watched files again when they change: secrets, certificates, and the log level.
 */
import type { Config } from '../config/config.ts'
import type { WatchableFiles } from '../config/flag-files.ts'
import type { Logger, LogLevel } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { StaticS3Credentials } from '../secrets/s3-credentials.ts'
import type { RobotCredential } from '../secrets/robot-credential.ts'
import { watchFiles, type WatchedFiles } from '../secrets/watched-files.ts'

export interface ReloadedFiles {
  readonly robot: WatchedFiles<readonly RobotCredential[]>
  readonly tokenSecret: WatchedFiles<readonly Uint8Array[]>
  readonly tls: WatchedFiles<{ cert: string; key: string }> | undefined
  readonly sharedStatePassword: WatchedFiles<string> | undefined
  readonly s3Credentials: WatchedFiles<StaticS3Credentials> | undefined
  readonly logLevel: WatchedFiles<LogLevel> | undefined
}

type ReloadedFile =
  'robot' | 'token secret' | 'tls' | 'shared state password' | 's3 credentials' | 'log level'

export const watchFilesOfConfig = (config: Config, logger: Logger, metrics: Metrics): ReloadedFiles => {
  const watch = <Value>(file: ReloadedFile, { paths, parse, cautions }: WatchableFiles<Value>) => {
    // The configuration has logged the cautions of the start.
    let current: readonly string[] = []
    const watched = watchFiles({
      paths,
      parse: (contents) => {
        const value = parse(contents)
        current = cautions(contents)
        return value
      },
      onError: (error) => {
        metrics.reloadFailures.inc({ file })
        logger.error({ err: error, file }, 'reload failed; keeping the previous content')
      },
    })
    watched.onChange(() => {
      logger.info({ file }, 'reloaded')
      for (const caution of current) logger.warn({ file }, caution)
    })
    return watched
  }
  const watchGiven = <Value>(file: ReloadedFile, files: WatchableFiles<Value> | undefined) =>
    files === undefined ? undefined : watch(file, files)
  return {
    robot: watch('robot', config.robot),
    tokenSecret: watch('token secret', config.tokenSecret),
    tls: watchGiven('tls', config.tls),
    sharedStatePassword: watchGiven('shared state password', config.sharedStatePassword),
    s3Credentials: watchGiven('s3 credentials', config.s3Credentials),
    logLevel: followLevel(watchGiven('log level', config.logLevelFile), logger),
  }
}

const followLevel = (file: ReloadedFiles['logLevel'], logger: Logger): ReloadedFiles['logLevel'] => {
  if (file === undefined) return undefined
  logger.level = file.current()
  file.onChange((level) => {
    logger.level = level
    logger.info({ level }, 'log level changed')
  })
  return file
}
