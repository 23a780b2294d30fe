/**
 * The advice for a tag that upstream does not have: a usual mistake in its spelling, or a similar tag that the requester may pull.
 */
import { pullSpecOf, type PullSpecOptions } from '../oci/pull-spec.ts'
import { parseReference, tagPrefixOf, type Reference } from '../oci/reference.ts'
import type { FindNearTag, NearTagRequest } from './near-tag.ts'
import { implicitTag } from '../oci/likely-pull-spec.ts'

export type TagReference = Extract<Reference, { kind: 'tag' }>

/** The advice for a tag that upstream does not have; undefined if there is none. */
export const adviceOnMissingTag = async (
  request: NearTagRequest,
  options: PullSpecOptions & { readonly findNearTag: FindNearTag },
): Promise<string | undefined> => {
  const { reference } = request
  const advice = adviceOnTag(reference, options)
  const near = advice === undefined ? await options.findNearTag(request) : undefined
  return near === undefined ? advice : adviceOnNearTag(reference, near, options)
}

/** The advice that needs no search; undefined if the tag looks right. */
export const adviceOnTag = (reference: TagReference, options: PullSpecOptions): string | undefined => {
  const { repository, tag } = reference
  if (repository.form === 'image-stream') {
    if (tag === implicitTag) return `clients ask for ${implicitTag} if no tag is given: name a tag`
    const prefix = tagPrefixOf(repository)
    // ocp/4.5:ocp_4.5_base
    return tag.startsWith(prefix) ? pull(reference, tag.slice(prefix.length), options) : undefined
  }
  if (tag === implicitTag)
    return `clients ask for ${implicitTag} if no tag is given: a tag of ${repository.path} has the form <namespace>_<name>_<tag>`
  // ocp-4.5-base
  return reference.owner.by === 'qci' && tag.includes('-') && !tag.includes('_')
    ? `a tag of ${repository.path} has the form <namespace>_<name>_<tag>, with underscores between the parts`
    : undefined
}

export const adviceOnNearTag = (reference: TagReference, near: string, options: PullSpecOptions): string =>
  `did you mean ${near}? ${pull(reference, near, options)}`

const pull = ({ repository }: TagReference, tag: string, options: PullSpecOptions): string =>
  `pull ${pullSpecOf(parseReference(repository, tag, options.ownerOf), options.exposedHost)}`
