/**
 * Which tags of a list a requester may see: those that they may pull. One list costs one decision for each image stream; in the monorepo
 * one decision for each namespace, which keeps the number of reviews low.
 */
import type { Identity } from '../../access/identity.ts'
import type { Policy } from '../../access/policy.ts'
import { isAttachedTag, mayHoldOthers } from '../../oci/qci-tag.ts'
import {
  isQciTag,
  tagPrefixOf,
  type Digest,
  type ImageStream,
  type QciTag,
  type Repository,
  type TagOwnerOf,
} from '../../oci/reference.ts'

export interface Visibility {
  readonly isVisible: (tag: string) => Promise<boolean>
  /** The namespace of a tag, if all of it is hidden and all of its tags begin with its name. */
  readonly hiddenNamespace: (tag: string) => Promise<string | undefined>
  /** Whether this request has used up its share of decisions. */
  readonly isSpent: () => boolean
  /** Whether the requester may see the whole monorepo, except restricted namespaces. */
  readonly isQciWide: () => Promise<boolean>
}

export interface VisibilityOptions {
  readonly identity: Identity
  readonly repository: Repository
  readonly policy: Pick<Policy, 'decideImageStream' | 'mayList'>
  readonly ownerOf: TagOwnerOf
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Image streams, or namespaces of the monorepo, that one request may cost decisions for. */
const maxImageStreams = 64
/** Hidden digests in one request. Most of them cost no review, because the image streams of their neighbors are decided already. */
const maxHiddenDigests = 512
/** Milliseconds that one request may wait for decisions. Attack: a slow cluster, and a list that waits for 64 reviews one by one. */
const maxWaitMs = 4500

export const createVisibility = (options: VisibilityOptions): Visibility => {
  const { repository, ownerOf } = options
  const { decide, mayList, isSpent } = createDecisions(options)
  return {
    isVisible: async (tag) => {
      if (!isQciTag(tag)) return false
      const owner = ownerOf(tag)
      if (repository.form === 'image-stream') {
        // A list of an image stream shows the tags that can be pulled under its name: see `parseReference`.
        if (owner.by !== 'image-stream' || owner.imageStream.namespace !== repository.namespace) return false
        const own = tag.slice(tagPrefixOf(repository).length)
        return !isAttachedTag(own) && (await decide(owner.imageStream))
      }
      if (owner.by === 'image-stream') return await decide({ namespace: owner.imageStream.namespace })
      return owner.by === 'qci' ? await decide(undefined) : await mayList(tag, owner.digest)
    },
    // Tags that are restricted by one of their parts alone are skipped together with the namespace that they begin with.
    hiddenNamespace: async (tag) => {
      const owner = ownerOf(tag)
      if (owner.by !== 'image-stream') return undefined
      const { namespace } = owner.imageStream
      // The tag of a dated copy begins with a date, so it does not stand among the tags of its namespace.
      if (!tag.startsWith(`${namespace}_`) || mayHoldOthers(namespace)) return undefined
      return (await decide({ namespace })) ? undefined : namespace
    },
    isSpent,
    isQciWide: async () => await decide(undefined),
  }
}

/** Decides each of them once within one request. */
const createDecisions = ({
  identity,
  repository,
  policy,
  now = () => performance.now(),
}: VisibilityOptions) => {
  const imageStreams = new Map<string, Promise<boolean>>()
  const digests = new Map<Digest, Promise<boolean>>()
  let hiddenDigests = 0
  let waitedMs = 0
  const waitFor = async (decided: Promise<boolean>): Promise<boolean> => {
    const since = now()
    const answer = await decided
    waitedMs += now() - since
    return answer
  }
  return {
    isSpent: () =>
      imageStreams.size >= maxImageStreams || hiddenDigests >= maxHiddenDigests || waitedMs >= maxWaitMs,
    decide: async (imageStream: ImageStream | undefined): Promise<boolean> => {
      const key = imageStream === undefined ? '' : `${imageStream.namespace}/${imageStream.name ?? ''}`
      const known =
        imageStreams.get(key) ??
        policy.decideImageStream(identity, imageStream).then(({ allowed }) => allowed)
      imageStreams.set(key, known)
      return await waitFor(known)
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
      const isVisible = await waitFor(decided)
      if (known === undefined && !isVisible) hiddenDigests += 1
      return isVisible
    },
  }
}
