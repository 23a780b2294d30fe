/** Works on many items in slices, with a turn of the event loop between them, so that no pull waits for a load of a hundred thousand facts. */
import { setImmediate as turn } from 'node:timers/promises'

/** The longest time that a request waits for a slice. */
const sliceMs = 5

/**
 * @param each called for each item, in order
 * @param flush called at the end of each slice
 */
export const inSlices = async <Item>(
  items: Iterable<Item>,
  each: (item: Item) => void,
  flush: () => void,
): Promise<void> => {
  let began = performance.now()
  for (const item of items) {
    each(item)
    if (performance.now() - began < sliceMs) continue
    flush()
    await turn()
    began = performance.now()
  }
  flush()
}
