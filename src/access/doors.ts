/**
 * A reference comes down to doors: the image streams whose `system:image-puller` opens it, and whether a right to the whole
 * monorepo (QCI-wide) opens it too. Who may go through one is not known here.
 */
import type { Reach } from '../digests/sightings.ts'
import type { Digest, ImageStream, Reference, Repository } from '../reference.ts'

export interface Doors {
  readonly imageStreams: readonly ImageStream[]
  /** `later`: the system does not know yet whether it is restricted; the same request is to be made again in a moment. */
  readonly qciWide: boolean | 'later'
  /**
   * Whose image it is: the namespace that the reference names, else one that its digest is known in. For logs: the requester may be
   * told of the first kind only.
   */
  readonly namespace?: string
}

export interface DoorsOf {
  readonly reference: (reference: Reference) => Doors
  /** Of what belongs to an image stream; undefined: of what belongs to none. */
  readonly imageStream: (imageStream: ImageStream | undefined) => Doors
}

/** What is known of the tags that reach a digest, those that stand for a digest followed. */
export type DigestReach = Omit<Reach, 'attachedTo'>

export interface DigestKnowledge {
  readonly reachOf: (digest: Digest) => DigestReach
  /** Manifests that are known to name this blob and that no open tag reaches; none for what is a manifest itself. */
  readonly parentsOf: (digest: Digest) => readonly Digest[]
  /** Whether a restricted namespace is said to hold it, and nobody has checked that yet. */
  readonly isClaimed: (digest: Digest) => boolean
  /** Whether every tag of restricted namespaces has been followed, so that a digest which no tag is known to reach is not restricted. */
  readonly isComplete: () => boolean
}

export interface DoorsOptions {
  readonly knowledge: DigestKnowledge
  readonly isRestricted: (namespace: string) => boolean
  readonly unknownDigests: 'allow' | 'deny'
}

const withoutNamespace: Doors = { imageStreams: [], qciWide: true }

export const createDoors = (options: DoorsOptions): DoorsOf => {
  const { knowledge, isRestricted, unknownDigests } = options
  const isOpenStream = ({ namespace }: ImageStream) => !isRestricted(namespace)

  const ofImageStream = (imageStream: ImageStream | undefined): Doors =>
    imageStream === undefined
      ? withoutNamespace
      : { imageStreams: [imageStream], qciWide: isOpenStream(imageStream), namespace: imageStream.namespace }

  /**
   * Attack: an upstream that knows content by sha512 too serves the bytes of a restricted image under a name that nobody has closed. Only
   * a tag that reaches that name opens it.
   */
  const mayBeOpenUnseen = (digest: Digest): boolean =>
    unknownDigests === 'allow' && digest.startsWith('sha256:')

  /** A tag of nobody reaches it, or no tag that is known. Nothing that a restricted tag reaches, or may reach, is open for that. */
  const opensUnowned = (digest: Digest, { isOfNobody }: DigestReach): boolean | 'later' => {
    if (knowledge.isClaimed(digest) || !(isOfNobody || mayBeOpenUnseen(digest))) return false
    return knowledge.isComplete() || 'later'
  }

  /**
   * A release payload is pulled by digest, and a base layer of its images may be known in restricted images alone: a blob is open where a
   * manifest that is open, or that no tag is known to reach, names it. Not where a tag of nobody reaches that manifest: such a tag opens
   * nothing that a restricted one reaches. Never a manifest: an index that costs nothing to make would open one.
   */
  const isNamedByOpenManifest = (blob: Digest): boolean =>
    knowledge.parentsOf(blob).some((manifest) => {
      const reach = knowledge.reachOf(manifest)
      if (reach.isOpen) return true
      return !reach.isRestricted && !reach.isOfNobody && opensUnowned(manifest, reach) === true
    })

  const opensQciWide = (digest: Digest, reach: DigestReach): boolean | 'later' => {
    if (reach.isOpen) return true
    return reach.isRestricted ? isNamedByOpenManifest(digest) : opensUnowned(digest, reach)
  }

  const ofDigest = (digest: Digest, repository: Repository): Doors => {
    const reach = knowledge.reachOf(digest)
    const { imageStreams } = reach
    const qciWide = opensQciWide(digest, reach)
    if (repository.form === 'monorepo') {
      const place = imageStreams.findLast(isOpenStream) ?? imageStreams.at(-1)
      return { imageStreams, qciWide, ...(place === undefined ? {} : { namespace: place.namespace }) }
    }
    const { namespace } = repository
    return {
      imageStreams: imageStreams.filter((imageStream) => imageStream.namespace === namespace),
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

/** No digest is known to be reached by any tag. For those who explain what decides, without a registry to ask. */
export const nothingKnown: DigestKnowledge = {
  reachOf: () => ({ imageStreams: [], isOpen: false, isRestricted: false, isOfNobody: false }),
  parentsOf: () => [],
  isClaimed: () => false,
  isComplete: () => true,
}
