/**
 * A large answer goes out in slices, one for each turn of the event loop. The kernel copies megabytes at once if it is handed all of them.
 *
 * Attack: a hundred requests for a manifest of 3 MB, by a client that reads none. Each costs about two milliseconds, and all others wait
 * for all of them.
 */
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Bytes. */
export const sliceBytes = 64 * 1024

export const inSlices = (answer: Buffer): Readable =>
  Readable.from(slicesOf(answer), { objectMode: false, highWaterMark: sliceBytes })

async function* slicesOf(answer: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < answer.length; start += sliceBytes) {
    yield answer.subarray(start, start + sliceBytes)
    await nextTurn()
  }
}
