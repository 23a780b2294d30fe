/**
 * A reference comes down to doors: the image streams whose `system:image-puller` opens it, and whether a right to the whole
 * monorepo (QCI-wide) opens it too. Who may go through one is not known here.
 */
import type { Digest, ImageStream, Reference, Repository } from '../reference.ts'

export interface Doors {
  readonly imageStreams: readonly ImageStream[]
  readonly qciWide: boolean
  /**
   * Whose image it is: the namespace that the reference names, else one that its digest is known in. For logs: the asker may be
   * told of the first sort only.
   */
  readonly namespace?: string
}

export interface DoorsOf {
  readonly reference: (reference: Reference) => Doors
  /** Of what belongs to an image stream; undefined: of what belongs to none. */
  readonly imageStream: (imageStream: ImageStream | undefined) => Doors
}

export interface DoorsOptions {
  readonly seenIn: (digest: Digest) => readonly ImageStream[]
  /** Whether a manifest that nobody has seen brought it along. */
  readonly isCarried?: (digest: Digest) => boolean
  readonly isRestricted: (namespace: string) => boolean
  readonly unknownDigests: 'allow' | 'deny'
}

const withoutNamespace: Doors = { imageStreams: [], qciWide: true }

export const createDoors = (options: DoorsOptions): DoorsOf => {
  const { seenIn, isCarried = () => false, isRestricted, unknownDigests } = options
  const isOpen = ({ namespace }: ImageStream) => !isRestricted(namespace)

  const ofImageStream = (imageStream: ImageStream | undefined): Doors =>
    imageStream === undefined
      ? withoutNamespace
      : { imageStreams: [imageStream], qciWide: isOpen(imageStream), namespace: imageStream.namespace }

  const ofDigest = (digest: Digest, repository: Repository): Doors => {
    const known = seenIn(digest)
    const isUnseen = known.length === 0 || isCarried(digest)
    const qciWide = known.some(isOpen) || (isUnseen && unknownDigests === 'allow')
    if (repository.form === 'monorepo') {
      const place = known.findLast(isOpen) ?? known.at(-1)
      return { imageStreams: known, qciWide, ...(place === undefined ? {} : { namespace: place.namespace }) }
    }
    const { namespace } = repository
    return {
      imageStreams: known.filter((imageStream) => imageStream.namespace === namespace),
      qciWide,
      namespace,
    }
  }

  return {
    imageStream: ofImageStream,
    reference: (reference) => {
      if (reference.kind === 'digest') return ofDigest(reference.digest, reference.repository)
      const { owner, repository } = reference
      if (owner.by === 'image-stream') return ofImageStream(owner.imageStream)
      return owner.by === 'digest' ? ofDigest(owner.digest, repository) : withoutNamespace
    },
  }
}
