/**
 * A tag that the requester may pull, with nearly the name of one that does not exist. Within limits: the search costs a page of upstream's
 * tag list at most, and only some of the requests of a requester cost one.
 */
import { unlessAborted } from '../concurrency/abortable.ts'
import { Pace } from '../concurrency/pace.ts'
import type { Identity } from '../access/identity.ts'
import type { FetchTags } from '../oci/image-source.ts'
import { tagPrefixOf, type Reference } from '../oci/reference.ts'
import { createVisibility, type VisibilityOptions } from './tags/tag-visibility.ts'
import { typingErrorsIn } from './typing-error.ts'

export interface NearTagOptions extends Pick<VisibilityOptions, 'policy' | 'ownerOf'> {
  readonly fetchTags: FetchTags
  /** Milliseconds that an error response waits for the search, reviews included. For tests. */
  readonly maxWaitMs?: number
}

export interface NearTagRequest {
  readonly identity: Identity
  readonly reference: Extract<Reference, { kind: 'tag' }>
  readonly requester: string
  readonly signal: AbortSignal
}

/** Undefined if there is none, or none was found within the limits. Never rejects. */
export type FindNearTag = (request: NearTagRequest) => Promise<string | undefined>

const usualWaitMs = 1500
/** Attack: a loop over missing tags, to use up the pages that quay grants to everybody. */
const searches = { burst: 5, everyMs: 10_000, maxWaitMs: 0 }
/** How many of the most similar tags are tried: each costs a decision, most of which are cached. */
const maxDecisions = 3

export const createFindNearTag = (options: NearTagOptions): FindNearTag => {
  const pace = new Pace(searches)
  const { maxWaitMs = usualWaitMs } = options
  return async (request) => {
    const { owner, repository } = request.reference
    if (owner.by !== 'image-stream' || repository.form === 'monorepo') return undefined
    if (pace.next(request.requester) === undefined) return undefined
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(maxWaitMs)])
    try {
      return await unlessAborted(signal, search({ ...request, signal }, options, tagPrefixOf(repository)))
    } catch {
      // The error that the client waits for is about its own tag.
      return undefined
    }
  }
}

const search = async (
  { identity, reference, requester, signal }: NearTagRequest,
  { fetchTags, policy, ownerOf }: NearTagOptions,
  prefix: string,
): Promise<string | undefined> => {
  const { tags } = await fetchTags({ after: prefix, requester, signal })
  const own = tags.filter((tag) => tag.startsWith(prefix)).map((tag) => tag.slice(prefix.length))
  const { isVisible } = createVisibility({ identity, repository: reference.repository, policy, ownerOf })
  for (const tag of nearest(reference.tag, own)) if (await isVisible(prefix + tag)) return tag
  return undefined
}

const nearest = (wanted: string, tags: readonly string[]): readonly string[] =>
  tags
    .map((tag) => ({ tag, errors: typingErrorsIn(wanted, tag) ?? Infinity }))
    .filter(({ errors }) => errors < Infinity)
    .toSorted((a, b) => a.errors - b.errors)
    .slice(0, maxDecisions)
    .map(({ tag }) => tag)
