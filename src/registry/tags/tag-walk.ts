/**
 * Reads upstream's sorted tag list page by page, and collects the visible tags. One request is limited in pages and in decisions; at a
 * limit the walk returns its position, and the next request continues there.
 */
import { RegistryError } from '../../oci/errors.ts'
import { behindAll, isBehindPrefix } from '../../oci/tag-order.ts'
import type { Visibility } from './tag-visibility.ts'

export interface TagWalkOptions {
  /** The tags after `after`. */
  readonly fetchTags: (after: string | undefined) => Promise<{ tags: readonly string[]; more: boolean }>
  readonly visibility: Visibility
  /** `ocp_4.5_` for the tags of one image stream, which the list shows without it; empty for the monorepo. */
  readonly prefix: string
  /** The most tags that the list may have. */
  readonly count: number
  /** The list begins after this tag, prefix included. */
  readonly after: string | undefined
  /** Milliseconds after which the walk reads no further page. */
  readonly maxMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export interface TagWalk {
  readonly tags: readonly string[]
  /** The position, if there may be more tags. `isVisible`: whether the requester may learn the name in `after`. */
  readonly stands: { readonly after: string; readonly isVisible: boolean } | undefined
  /** The last tag that was read, prefix included. Later additions stand after it. Empty if no tag was read. */
  readonly end: string
}

/** Pages of upstream that one request may read. */
const maxPages = 20
/** A page may wait for its turn at upstream. Clients wait for a first byte of the answer for so long, and follow its Link. */
const defaultMaxMs = 10_000

export const walkTags = async (options: TagWalkOptions): Promise<TagWalk> => {
  const { fetchTags, visibility, prefix, count, after } = options
  const mayRead = readingBound(options)
  const tags: string[] = []
  const overAt = (tag = ''): TagWalk => ({ tags, stands: undefined, end: tag })
  if (count === 0) return overAt(after)
  const jumps = createJumps(visibility, prefix === '')
  let position = after ?? (prefix === '' ? undefined : prefix)
  const standsAt = (tag: string | undefined, isVisible: boolean): TagWalk =>
    tag === undefined ? overAt() : { tags, stands: { after: tag.slice(prefix.length), isVisible }, end: tag }
  for (let page = 0; mayRead(page); page++) {
    const read = await fetchTags(position).catch((error: unknown) => {
      // The pages before the failure are right. A client that follows the Link continues there, or gets the error then.
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

/** @returns whether the walk may read the page with this number: always the first one */
const readingBound = ({ maxMs = defaultMaxMs, now = () => performance.now() }: TagWalkOptions) => {
  const until = now() + maxMs
  return (page: number): boolean => page === 0 || (page < maxPages && now() < until)
}

/**
 * `full`: the list has enough tags, and there is another one; `end`: the image stream has no more tags; `after`: the decisions are used
 * up.
 */
const take = async (
  found: readonly string[],
  tags: string[],
  { prefix, count, visibility }: TagWalkOptions,
): Promise<'full' | 'end' | 'through' | { after: string }> => {
  for (const tag of found) {
    // True in both sort orders of upstream.
    if (isBehindPrefix(tag, prefix)) return 'end'
    if (tags.length === count) return 'full'
    if (!tag.startsWith(prefix)) continue
    if (await visibility.isVisible(tag)) tags.push(tag.slice(prefix.length))
    if (visibility.isSpent()) return { after: tag }
  }
  return 'through'
}

/**
 * Jumps over hidden namespaces: a monorepo of 200,000 tags would take hundreds of pages. If upstream does not sort by bytes, a jump leads
 * back to the same namespace; from then on the walk reads page by page.
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
    /** Where to continue page by page, if the last jump led back to the namespace that it should skip. */
    ledBack: (found: readonly string[]): string | undefined => {
      const { over, origin } = jump ?? {}
      jump = undefined
      if (over === undefined || !found.some((tag) => tag.startsWith(`${over}_`))) return undefined
      canJump = false
      return origin
    },
  }
}
