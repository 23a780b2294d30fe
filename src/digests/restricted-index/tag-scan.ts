/**
 * Scans the tag list of upstream page by page: for the live tags of restricted namespaces, for dated copies, and for tags that are attached to
 * digests. Each scan yields all tags that it read; the caller selects those that matter.
 */
import {
  behindBlockOf,
  isBehindDated,
  isBehindInBytes,
  isBehindPrefix,
  isInByteOrder,
} from '../../oci/tag-order.ts'

export interface TagPage {
  readonly tags: readonly string[]
  readonly more: boolean
}

export type FetchTagPage = (after: string | undefined) => Promise<TagPage>

export interface LiveScan {
  readonly fetchPage: FetchTagPage
  /** Whether a tag has to be followed. Its neighbours are read as well. */
  readonly matters: (tag: string) => boolean
  /** Called once if upstream does not sort by bytes: then the whole list is read from its beginning. */
  readonly onTextOrder: () => void
  /** Whether an earlier scan has found that upstream does not sort by bytes. */
  readonly isTextOrder: boolean
}

/**
 * Yields all tags that matter, and some others. It does not read all million tags: from a tag that does not matter, the scan jumps behind its
 * namespace, so that it costs one page for each namespace. It jumps over dated copies as well, if the order allows jumps.
 */
export async function* scanLive(options: LiveScan): AsyncGenerator<readonly string[]> {
  const { fetchPage, matters, onTextOrder } = options
  let canJump = !options.isTextOrder
  let after: string | undefined
  let isOver = false
  while (!isOver) {
    const { tags, more } = await fetchPage(after)
    if (canJump && !isInByteOrder(after, tags)) {
      // Earlier jumps may have skipped tags that matter, so the scan starts again without jumps.
      canJump = false
      after = undefined
      onTextOrder()
      continue
    }
    yield tags
    const last = tags.at(-1)
    if (!more || last === undefined) isOver = true
    else after = nextAfter(after, (canJump && !matters(last) ? behindBlockOf(last) : undefined) ?? last)
  }
}

/**
 * Yields the tags with this prefix, in either order of upstream.
 * @param mayBeByteOrder an earlier scan found the whole list sorted by bytes; this finds the end of the prefix earlier
 */
export async function* scanPrefix(
  fetchPage: FetchTagPage,
  prefix: string,
  mayBeByteOrder = false,
): AsyncGenerator<readonly string[]> {
  let isByteOrder = mayBeByteOrder
  for (let after = prefix; ;) {
    const { tags, more } = await fetchPage(after)
    yield tags.filter((tag) => tag.startsWith(prefix))
    isByteOrder &&= isInByteOrder(after, tags)
    const isBehind = isByteOrder ? isBehindInBytes : isBehindPrefix
    const last = tags.at(-1)
    if (!more || last === undefined || isBehind(last, prefix)) return
    after = nextAfter(after, last)
  }
}

/**
 * Yields dated copies from this point of the list on: a date, or the end of an earlier scan. Both orders begin with the digits. It also yields
 * tags of namespaces that begin with digits, which are between them: a jump over a year may have skipped these.
 */
export async function* scanDated(fetchPage: FetchTagPage, from: string): AsyncGenerator<readonly string[]> {
  for (let after: string | undefined = from; after !== undefined;) {
    const { tags, more } = await fetchPage(after)
    yield tags
    const last = tags.at(-1)
    after = !more || last === undefined || isBehindDated(last) ? undefined : nextAfter(after, last)
  }
}

/** @throws {Error} if upstream repeats a page, because the scan would never end */
const nextAfter = (before: string | undefined, after: string): string => {
  if (after === before) throw new Error('upstream answers with the same page of its tag list again')
  return after
}
