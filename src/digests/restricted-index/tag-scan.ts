/**
 * Reads of upstream's tag list, a page at a time: of the live tags of restricted namespaces, of dated copies, of what is attached to
 * digests. Each yields the tags that it met; which of them matter is decided by the reader.
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
  /** Whether a tag has to be followed: then its neighbours are read, too. */
  readonly matters: (tag: string) => boolean
  /** Told once, if upstream does not sort by bytes: the list is read whole from its beginning then. */
  readonly onTextOrder: () => void
  /** Whether an earlier scan has found that upstream does not sort by bytes. */
  readonly isTextOrder: boolean
}

/**
 * All tags that matter, and some others. A million tags are not read for it: from a tag that does not matter the scan jumps behind its
 * namespace, so that it costs a page for each namespace. Dated copies are jumped over, too, as long as the order allows jumps.
 */
export async function* scanLive(options: LiveScan): AsyncGenerator<readonly string[]> {
  const { fetchPage, matters, onTextOrder } = options
  let canJump = !options.isTextOrder
  let after: string | undefined
  let isOver = false
  while (!isOver) {
    const { tags, more } = await fetchPage(after)
    if (canJump && !isInByteOrder(after, tags)) {
      // What an earlier jump has passed over is not known: from the beginning, without jumps.
      canJump = false
      after = undefined
      onTextOrder()
      continue
    }
    yield tags
    const last = tags.at(-1)
    if (!more || last === undefined) isOver = true
    else after = goOn(after, (canJump && !matters(last) ? behindBlockOf(last) : undefined) ?? last)
  }
}

/**
 * The tags that begin with this, in either order of upstream.
 * @param mayBeByteOrder the whole list was seen to be sorted by bytes: then the end is found without reading on to where text would end
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
    after = goOn(after, last)
  }
}

/**
 * Dated copies from this point of the list on: a date, or where an earlier scan has ended. Both orders begin with the digits. Tags of
 * namespaces that begin with digits stand between them, and are told, too: a jump over a year may have passed over these.
 */
export async function* scanDated(fetchPage: FetchTagPage, from: string): AsyncGenerator<readonly string[]> {
  for (let after: string | undefined = from; after !== undefined;) {
    const { tags, more } = await fetchPage(after)
    yield tags
    const last = tags.at(-1)
    after = !more || last === undefined || isBehindDated(last) ? undefined : goOn(after, last)
  }
}

/** @throws {Error} where upstream does not go on: the scan would never end */
const goOn = (before: string | undefined, after: string): string => {
  if (after === before) throw new Error('upstream answers with the same page of its tag list again')
  return after
}
