/**
 * The flags of the watch of all ImageStreams, under the names of the former program.
 */

const names = [
  'additional-image-stream-tag',
  'additional-image-stream',
  'additional-image-stream-namespace',
  'ignore-image-stream-tag',
] as const
type FlagName = (typeof names)[number]

/** `quayIOCIImagesDistributorOptions.additional-image-stream` */
export const distributorFlag = <Name extends FlagName>(name: Name) =>
  `quayIOCIImagesDistributorOptions.${name}` as const

export const distributorFlags = names.map(distributorFlag)

export interface DistributorOptions {
  /** `ocp/4.5:base` */
  readonly additionalTags: ReadonlySet<string>
  /** `ocp/4.5` */
  readonly additionalStreams: ReadonlySet<string>
  readonly additionalNamespaces: ReadonlySet<string>
  readonly ignoredTags: ReadonlySet<string>
  /** Whether schema 2 with a layer that is not gzip is left out. */
  readonly onlyValidManifests: boolean
  /** A checkout of openshift/release. The tags that its tests use are mirrored. */
  readonly releaseRepository: string | undefined
}
