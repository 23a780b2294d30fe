/**
 * The command line of the watch of all ImageStreams: `--enable-controller`, and the flags that select the mirrored tags.
 */
import type { ArgumentValues } from './argument-values.ts'
import {
  distributorFlag,
  distributorFlags,
  type DistributorOptions,
} from './distributor/distributor-options.ts'
import { distributorName } from './plan/owner.ts'

export const onlyValidFlag = 'only-valid-manifest-v2-images'

const stream = /^[^/:\s]+\/[^/:\s]+$/
const tag = /^[^/:\s]+\/[^/:\s]+:[^/:\s]+$/
const namespace = /^[^/:\s]+$/

/** @param problems is added to. @returns undefined if the controller is not enabled */
export const distributorArguments = (
  values: ArgumentValues,
  { onlyValidManifests, problems }: { readonly onlyValidManifests: boolean; readonly problems: string[] },
): DistributorOptions | undefined => {
  const controllers = values.list('enable-controller')
  const unknown = controllers.filter((name) => name !== distributorName)
  if (unknown.length > 0)
    problems.push(
      `the following controllers are unknown: [${unknown.join(' ')}]; there is ${distributorName}`,
    )
  const options = {
    additionalTags: values.names(
      distributorFlag('additional-image-stream-tag'),
      tag,
      'a tag such as ocp/4.5:base',
    ),
    additionalStreams: values.names(
      distributorFlag('additional-image-stream'),
      stream,
      'an ImageStream such as ocp/4.5',
    ),
    additionalNamespaces: values.names(
      distributorFlag('additional-image-stream-namespace'),
      namespace,
      'a namespace such as ocp',
    ),
    ignoredTags: values.names(distributorFlag('ignore-image-stream-tag'), tag, 'a tag such as ocp/4.5:base'),
    onlyValidManifests,
    releaseRepository: values.text('release-repo-git-sync-path'),
  }
  return controllers.length > 0 ? options : undefined
}

/** Sentences about the given flags. */
export const distributorNotices = (
  given: ReadonlySet<string>,
  options: DistributorOptions | undefined,
): readonly string[] => {
  if (options === undefined)
    return [...distributorFlags, onlyValidFlag]
      .filter((name) => given.has(name))
      .map((name) => `--${name} has no effect without --enable-controller=${distributorName}`)
  return options.releaseRepository === undefined
    ? [
        'without --release-repo-git-sync-path, no tag is mirrored because a test of ci-operator or of the step registry uses it, or takes a release from its ImageStream',
      ]
    : []
}
