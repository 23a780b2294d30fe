/**
 * From upstream's tag list, sorted and a page at a time, to the tags that somebody may see: within bounds on what one request
 * costs upstream and the cluster. A walk that meets a bound says where it stands, and the next request goes on from there.
 */
import { RegistryError } from '../errors.ts'
import { behindAll, isBehindPrefix } from '../oci/tag-order.ts'
import type { Visibility } from './tag-visibility.ts'

export interface TagWalkOptions {
  /** The tags after `after`. */
  readonly fetchTags: (after: string | undefined) => Promise<{ tags: readonly string[]; more: boolean }>
  readonly visibility: Visibility
  /** `ocp_4.5_` for the tags of one image stream, which are given without it; empty for the monorepo. */
  readonly prefix: string
  /** Tags wanted at most. */
  readonly count: number
  /** Where to begin: after this one, prefix included. */
  readonly after: string | undefined
}

export interface TagWalk {
  readonly tags: readonly string[]
  /** Where it stands, if there may be more: a visible tag's name, or one that the asker may not learn. */
  readonly stands: { readonly after: string; readonly isVisible: boolean } | undefined
  /** Behind every tag that was read, prefix included: what may come there later is after this one. Empty for no tag at all. */
  readonly end: string
}

/** Pages of upstream that are read for one request. */
const maxPages = 20

export const walkTags = async (options: TagWalkOptions): Promise<TagWalk> => {
  const { fetchTags, visibility, prefix, count, after } = options
  const tags: string[] = []
  const overAt = (tag = ''): TagWalk => ({ tags, stands: undefined, end: tag })
  if (count === 0) return overAt(after)
  const jumps = createJumps(visibility, prefix === '')
  let position = after ?? (prefix === '' ? undefined : prefix)
  const standsAt = (tag: string | undefined, isVisible: boolean): TagWalk =>
    tag === undefined ? overAt() : { tags, stands: { after: tag.slice(prefix.length), isVisible }, end: tag }
  for (let page = 0; page < maxPages; page++) {
    const read = await fetchTags(position).catch((error: unknown) => {
      // What was read up to here is right: whoever follows the link may find upstream in a better mood, and is told if not.
      if (page === 0 || !(error instanceof RegistryError)) throw error
      return undefined
    })
    if (read === undefined) return standsAt(position, false)
    const { tags: found, more } = read
    const origin = jumps.ledBack(found)
    if (origin !== undefined) {
      position = origin
      continue
    }
    const step = await take(found, tags, options)
    if (step === 'full') return standsAt(prefix + tags.at(-1), true)
    if (step === 'end' || (step === 'through' && !more)) return overAt(found.at(-1) ?? position)
    if (step !== 'through') return standsAt(step.after, false)
    if (tags.length === count) return standsAt(prefix + tags.at(-1), true)
    position = await jumps.from(found.at(-1))
  }
  return standsAt(position, false)
}

/** `full`: there is one more than was asked for; `end`: the image stream is over; `after`: enough was decided about. */
const take = async (
  found: readonly string[],
  tags: string[],
  { prefix, count, visibility }: TagWalkOptions,
): Promise<'full' | 'end' | 'through' | { after: string }> => {
  for (const tag of found) {
    // In either order of upstream.
    if (isBehindPrefix(tag, prefix)) return 'end'
    if (tags.length === count) return 'full'
    if (!tag.startsWith(prefix)) continue
    if (await visibility.isVisible(tag)) tags.push(tag.slice(prefix.length))
    if (visibility.isSpent()) return { after: tag }
  }
  return 'through'
}

/**
 * A namespace that is hidden as a whole is not read to its end: a monorepo of 200,000 tags would take hundreds of pages. Where
 * upstream does not sort by bytes the jump leads back to the same namespace; then the walk goes on by foot.
 */
const createJumps = (visibility: Visibility, isMonorepo: boolean) => {
  let jump: { over: string; origin: string } | undefined
  let canJump = isMonorepo
  return {
    from: async (last: string | undefined): Promise<string | undefined> => {
      const over = canJump && last !== undefined ? await visibility.hiddenNamespace(last) : undefined
      if (over === undefined || last === undefined) return last
      jump = { over, origin: last }
      return `${over}_${behindAll}`
    },
    /** Where to go on by foot, if the last jump led back to what it was to jump over. */
    ledBack: (found: readonly string[]): string | undefined => {
      const { over, origin } = jump ?? {}
      jump = undefined
      if (over === undefined || !found.some((tag) => tag.startsWith(`${over}_`))) return undefined
      canJump = false
      return origin
    },
  }
}
