/**
 * The mirror's configuration, `core-services/image-mirroring/_config.yaml` of openshift/release, as the program sees it.
 */
import { floatTagOf, type ImageStreamTag } from '../names/qci-names.ts'
import { formatReference, type ImageReference } from '../names/image-reference.ts'
import type { GoPattern } from './go-pattern.ts'
import type { Position } from './problem.ts'

/** An image of any registry, or the tag of an ImageStream of app.ci. */
export type Source =
  | { readonly kind: 'image'; readonly image: ImageReference }
  | { readonly kind: 'image-stream-tag'; readonly imageStreamTag: ImageStreamTag }

interface Entry {
  readonly position: Position
  /** `supplementalCIImages[ocp/ubi:9]` */
  readonly subject: string
}

/** An image that is copied into QCI under the float of `target`. */
export interface SupplementalImage extends Entry {
  readonly target: ImageStreamTag
  readonly source: Source
}

/** An image that is copied from QCI to the registry of app.ci. */
export interface AppCiImage extends Entry {
  readonly target: ImageStreamTag
  readonly source: ImageReference
}

export interface IgnoredSource extends Entry {
  readonly source: Source
  readonly reason: string
}

/** ImageStreams of app.ci whose tags are copied into QCI under their own names. */
export interface ArtImages extends Entry {
  readonly namespace: string
  readonly name: GoPattern
  /** Without it: all tags. */
  readonly tag: GoPattern | undefined
}

export interface MirrorConfig {
  readonly supplemental: readonly SupplementalImage[]
  readonly appCi: readonly AppCiImage[]
  readonly ignored: readonly IgnoredSource[]
  readonly art: readonly ArtImages[]
}

export const appCiRegistry = 'registry.ci.openshift.org'
export const qciRegistry = 'quay.io'
export const qciProxy = 'quay-proxy.ci.openshift.org'
export const qciRepository = 'openshift/ci'

/** The image that a source stands for. The image of an ImageStream is in the registry of app.ci. */
export const imageOf = (source: Source): ImageReference =>
  source.kind === 'image'
    ? source.image
    : {
        registry: appCiRegistry,
        repository: `${source.imageStreamTag.namespace}/${source.imageStreamTag.name}`,
        tag: source.imageStreamTag.tag,
        digest: undefined,
      }

export const formatSource = (source: Source): string => formatReference(imageOf(source))

/** The current image of a target in QCI, as the proxy serves it. */
export const qciImageOf = (target: ImageStreamTag): ImageReference => ({
  registry: qciProxy,
  repository: qciRepository,
  tag: floatTagOf(target),
  digest: undefined,
})

/** The float in QCI that a reference names; undefined for any other reference. The proxy has a second spelling of floats. */
export const floatOf = ({ registry, repository, tag, digest }: ImageReference): string | undefined => {
  if (digest !== undefined || tag === undefined) return undefined
  if (repository === qciRepository && (registry === qciRegistry || registry === qciProxy)) return tag
  return registry === qciProxy ? `${repository.replace('/', '_')}_${tag}` : undefined
}

/** The ImageStream tag of app.ci that a reference names; undefined for any other reference. */
export const imageStreamTagOf = ({
  registry,
  repository,
  tag,
  digest,
}: ImageReference): string | undefined =>
  registry === appCiRegistry && tag !== undefined && digest === undefined ? `${repository}:${tag}` : undefined

/** Whether two sources name the same image, in whatever spelling. */
export const isSameSource = (one: Source, other: Source): boolean => formatSource(one) === formatSource(other)
