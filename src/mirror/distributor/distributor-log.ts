/**
 * The log lines of the watch of all ImageStreams.
 */
import type { Logger } from '../../telemetry/logging.ts'
import type { DistributorEvent } from './distributor.ts'

/** Maximum of file names in one line. */
const maxProblems = 20

export const logDistributor =
  (logger: Logger) =>
  (event: DistributorEvent): void => {
    if (event.what === 'listed')
      logger.info({ tagCount: event.tags }, 'the ImageStreams of app.ci are listed')
    else if (event.what === 'watch failed') {
      const { error, failure } = event
      logger.warn({ err: error, failure }, 'ImageStream list/watch failed; retrying')
    } else if (event.what === 'checkout failed')
      logger.error({ err: event.error }, 'The checkout of openshift/release cannot be read')
    else {
      const { files, problems } = event
      logger.info({ files }, 'The checkout of openshift/release was read')
      if (problems.length > 0)
        logger.warn(
          { problems: problems.slice(0, maxProblems) },
          'Files of the checkout cannot be used: images that they alone name are not mirrored',
        )
    }
  }
