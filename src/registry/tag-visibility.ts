/**
 * Which tags of a list somebody may see. Each image stream is decided about once for a list; the monorepo is decided about by
 * namespace, which costs a review per namespace and not one per image stream.
 */
import type { Identity } from '../access/identity.ts'
import type { Policy } from '../access/policy.ts'
import { isQciTag, tagOwner, type ImageStream, type Repository } from '../reference.ts'

export interface Visibility {
  readonly isVisible: (tag: string) => Promise<boolean>
  /** The namespace of a tag, where the whole of it is hidden and its tags begin with its name. */
  readonly hiddenNamespace: (tag: string) => Promise<string | undefined>
  /** How much was decided about so far. */
  readonly decided: () => number
}

export const createVisibility = (identity: Identity, repository: Repository, policy: Policy): Visibility => {
  const decided = new Map<string, Promise<boolean>>()
  const decide = async (imageStream: ImageStream | undefined): Promise<boolean> => {
    const key = imageStream === undefined ? '' : `${imageStream.namespace}/${imageStream.name ?? ''}`
    const known =
      decided.get(key) ?? policy.decideImageStream(identity, imageStream).then(({ allowed }) => allowed)
    decided.set(key, known)
    return await known
  }
  const judgedAs = (imageStream: ImageStream): ImageStream =>
    repository.form === 'monorepo' ? { namespace: imageStream.namespace } : imageStream

  return {
    isVisible: async (tag) => {
      if (!isQciTag(tag)) return false
      const owner = tagOwner(tag)
      if (owner.by === 'image-stream') return await decide(judgedAs(owner.imageStream))
      if (!(await decide(undefined))) return false
      const reference = { kind: 'tag', repository, tag, qciTag: tag, owner } as const
      return owner.by === 'qci' || (await policy.decide(identity, reference)).allowed
    },
    hiddenNamespace: async (tag) => {
      const owner = tagOwner(tag)
      if (owner.by !== 'image-stream') return undefined
      const { namespace } = owner.imageStream
      // A pruned image's tag begins with a date: its namespace is not where the list stands.
      return tag.startsWith(`${namespace}_`) && !(await decide({ namespace })) ? namespace : undefined
    },
    decided: () => decided.size,
  }
}
