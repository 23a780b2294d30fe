/**
 * Which tags of a list somebody may see: those that they may pull. Each image stream is decided about once for a list; the monorepo
 * is decided about by namespace, which costs a review per namespace and not one per image stream.
 */
import type { Identity } from '../access/identity.ts'
import type { Policy } from '../access/policy.ts'
import { isAttachedTag, mayHoldOthers } from '../oci/qci-tag.ts'
import {
  isQciTag,
  tagPrefixOf,
  type Digest,
  type ImageStream,
  type QciTag,
  type Repository,
  type TagOwnerOf,
} from '../reference.ts'

export interface Visibility {
  readonly isVisible: (tag: string) => Promise<boolean>
  /** The namespace of a tag, where the whole of it is hidden and its tags begin with its name. */
  readonly hiddenNamespace: (tag: string) => Promise<string | undefined>
  /** Whether so much was decided about that one request has had its share. */
  readonly isSpent: () => boolean
  /** Whether the whole monorepo is theirs to see, restricted namespaces aside. */
  readonly isQciWide: () => Promise<boolean>
}

export interface VisibilityOptions {
  readonly identity: Identity
  readonly repository: Repository
  readonly policy: Pick<Policy, 'decideImageStream' | 'mayList'>
  readonly ownerOf: TagOwnerOf
}

/** Image streams, or namespaces of the monorepo, that are decided about for one request. */
const maxImageStreams = 64
/** Digests that turn out to be hidden. Most of them cost no review: they are in the image streams of their neighbours. */
const maxHiddenDigests = 512

export const createVisibility = (options: VisibilityOptions): Visibility => {
  const { repository, ownerOf } = options
  const { decide, mayList, isSpent } = createDecisions(options)
  return {
    isVisible: async (tag) => {
      if (!isQciTag(tag)) return false
      const owner = ownerOf(tag)
      if (repository.form === 'image-stream') {
        // What cannot be pulled under this name is not listed under it: see `parseReference`.
        if (owner.by !== 'image-stream' || owner.imageStream.namespace !== repository.namespace) return false
        const own = tag.slice(tagPrefixOf(repository).length)
        return !isAttachedTag(own) && (await decide(owner.imageStream))
      }
      if (owner.by === 'image-stream') return await decide({ namespace: owner.imageStream.namespace })
      return owner.by === 'qci' ? await decide(undefined) : await mayList(tag, owner.digest)
    },
    // Not right for tags that are restricted by one of their parts alone: they are passed over with the namespace they begin with.
    hiddenNamespace: async (tag) => {
      const owner = ownerOf(tag)
      if (owner.by !== 'image-stream') return undefined
      const { namespace } = owner.imageStream
      // The tag of a copy begins with a date: its namespace is not where the list stands.
      if (!tag.startsWith(`${namespace}_`) || mayHoldOthers(namespace)) return undefined
      return (await decide({ namespace })) ? undefined : namespace
    },
    isSpent,
    isQciWide: async () => await decide(undefined),
  }
}

/** Each of them once, for as long as the request takes. */
const createDecisions = ({ identity, repository, policy }: VisibilityOptions) => {
  const imageStreams = new Map<string, Promise<boolean>>()
  const digests = new Map<Digest, Promise<boolean>>()
  let hiddenDigests = 0
  return {
    isSpent: () => imageStreams.size >= maxImageStreams || hiddenDigests >= maxHiddenDigests,
    decide: async (imageStream: ImageStream | undefined): Promise<boolean> => {
      const key = imageStream === undefined ? '' : `${imageStream.namespace}/${imageStream.name ?? ''}`
      const known =
        imageStreams.get(key) ??
        policy.decideImageStream(identity, imageStream).then(({ allowed }) => allowed)
      imageStreams.set(key, known)
      return await known
    },
    mayList: async (tag: QciTag, digest: Digest): Promise<boolean> => {
      const reference = {
        kind: 'tag',
        repository,
        tag,
        qciTag: tag,
        owner: { by: 'digest', digest },
      } as const
      const known = digests.get(digest)
      const decided = known ?? policy.mayList(identity, reference)
      digests.set(digest, decided)
      const isVisible = await decided
      if (known === undefined && !isVisible) hiddenDigests += 1
      return isVisible
    },
  }
}
