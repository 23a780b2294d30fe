/**
 * The access that a reference requires: the image streams whose `system:image-puller` opens it, and whether QCI-wide access opens it as
 * well. It does not know who has which access.
 */
import type { Reach } from '../digests/sightings.ts'
import type { Digest, ImageStream, Reference } from '../oci/reference.ts'

export interface AccessRequirement {
  readonly imageStreams: readonly ImageStream[]
  /** `later`: it is not known yet whether the digest is restricted; the client has to retry in a moment. */
  readonly qciWide: boolean | 'later'
  /**
   * The owner of the image: the namespace that the reference names, otherwise one that its digest was seen in. For logs. Only a namespace
   * that the requester named may be shown to them.
   */
  readonly namespace?: string
}

export interface RequirementsOf {
  readonly reference: (reference: Reference) => AccessRequirement
  /** Of the images of an image stream; undefined: of images without one. */
  readonly imageStream: (imageStream: ImageStream | undefined) => AccessRequirement
}

/** The tags that reach a digest. Tags that stand for a digest are followed. */
export type DigestReach = Omit<Reach, 'attachedTo'>

export interface DigestKnowledge {
  readonly reachOf: (digest: Digest) => DigestReach
  /** Manifests that name this blob, and that neither a restricted nor an open tag reaches; none for a manifest. */
  readonly parentsOf: (digest: Digest) => readonly Digest[]
  /** Whether a restricted namespace claims the digest, and the claim is not checked yet. */
  readonly isClaimed: (digest: Digest) => boolean
  /** Whether all live tags of restricted namespaces were followed lately, so that no restricted tag reaches a digest without a known tag. */
  readonly hasFollowedLive: () => boolean
  /** Whether a restricted tag could not be read, and no tag has ever been seen to reach the digest, so that the unread one may reach it. */
  readonly mayBeUnread: (digest: Digest) => boolean
}

export interface RequirementsOptions {
  readonly knowledge: DigestKnowledge
  readonly isRestricted: (namespace: string) => boolean
  readonly unknownDigests: 'allow' | 'deny'
}

type Requested = Pick<Extract<Reference, { kind: 'digest' }>, 'repository' | 'content'>

const withoutNamespace: AccessRequirement = { imageStreams: [], qciWide: true }

export const createRequirements = (options: RequirementsOptions): RequirementsOf => new Requirements(options)

class Requirements implements RequirementsOf {
  readonly #knowledge: DigestKnowledge
  readonly #options: RequirementsOptions

  constructor(options: RequirementsOptions) {
    this.#options = options
    this.#knowledge = options.knowledge
  }

  readonly reference = (reference: Reference): AccessRequirement => {
    if (reference.kind === 'digest') return this.#ofDigest(reference.digest, reference)
    const { owner, repository } = reference
    if (owner.by === 'image-stream') return this.imageStream(owner.imageStream)
    return owner.by === 'digest' ? this.#ofDigest(owner.digest, { repository }) : withoutNamespace
  }

  readonly imageStream = (imageStream: ImageStream | undefined): AccessRequirement => {
    if (imageStream === undefined) return withoutNamespace
    const { namespace } = imageStream
    return { imageStreams: [imageStream], qciWide: !this.#options.isRestricted(namespace), namespace }
  }

  #ofDigest(digest: Digest, { repository, content }: Requested): AccessRequirement {
    const reach = this.#knowledge.reachOf(digest)
    const { imageStreams } = reach
    const opens = this.#opensQciWide(digest, reach, content)
    const qciWide = opens === true && content === 'blob' && this.#mayBeUnread(digest) ? 'later' : opens
    if (repository.form === 'monorepo') {
      const { isRestricted } = this.#options
      const shown = imageStreams.findLast((stream) => !isRestricted(stream.namespace)) ?? imageStreams.at(-1)
      return { imageStreams, qciWide, ...(shown === undefined ? {} : { namespace: shown.namespace }) }
    }
    const { namespace } = repository
    return {
      imageStreams: imageStreams.filter((imageStream) => imageStream.namespace === namespace),
      qciWide,
      namespace,
    }
  }

  #opensQciWide(digest: Digest, reach: DigestReach, content: 'blob' | undefined): boolean | 'later' {
    if (reach.isOpen) return true
    if (!reach.isRestricted) return this.#opensUnowned(digest, reach)
    // Attack: a manifest that nobody has fetched yet is a layer according to another manifest.
    return content === 'blob' && this.#isNamedByOpenManifest(digest)
  }

  /**
   * Release payloads are pulled by digest, and their images may share a base layer that is otherwise only in restricted images. So a blob
   * is open if it is named by an open manifest, or by a manifest that no known tag reaches. If only a tag without an owner reaches the
   * manifest, that is not enough: such a tag opens nothing that a restricted tag reaches. This rule never opens a manifest, because anyone
   * can push an index that names it.
   */
  #isNamedByOpenManifest(blob: Digest): boolean {
    return this.#knowledge.parentsOf(blob).some((manifest) => {
      const reach = this.#knowledge.reachOf(manifest)
      if (reach.isOpen) return true
      return !reach.isRestricted && !reach.isUnowned && this.#opensUnowned(manifest, reach) === true
    })
  }

  /**
   * Upstream has a restricted manifest that the proxy cannot read, so that its layers are not known. A blob of another image is named by a
   * manifest, which its client has requested before. So only a blob that nobody names waits.
   */
  #mayBeUnread(blob: Digest): boolean {
    return this.#knowledge.mayBeUnread(blob) && !this.#isNamedByOpenManifest(blob)
  }

  /** For a digest that no tag with an owner is known to reach, and that no restricted tag reaches or may reach. */
  #opensUnowned(digest: Digest, { isUnowned }: DigestReach): boolean | 'later' {
    const isCandidate = isUnowned || this.#mayBeOpenUnseen(digest)
    if (this.#knowledge.isClaimed(digest) || !isCandidate) return false
    return this.#knowledge.hasFollowedLive() || 'later'
  }

  /**
   * Attack: an upstream that also serves content by sha512 gives the bytes of a restricted image under a digest that nothing has closed.
   * So only a tag that reaches such a digest opens it.
   */
  #mayBeOpenUnseen(digest: Digest): boolean {
    return this.#options.unknownDigests === 'allow' && digest.startsWith('sha256:')
  }
}

/** For `explain`, which has no registry to ask: no tag is known to reach any digest. */
export const nothingKnown: DigestKnowledge = {
  reachOf: () => ({ imageStreams: [], isOpen: false, isRestricted: false, isUnowned: false }),
  parentsOf: () => [],
  isClaimed: () => false,
  hasFollowedLive: () => true,
  mayBeUnread: () => false,
}
