/** Runs the measurement of a large cache directory, a program of its own. */
import { join } from 'node:path'
import { atMost, mustHold, type Part } from '../section.ts'
import { runTool } from '../system/processes.ts'

const program = join(import.meta.dirname, '../cache-entries.ts')

interface Measured {
  readonly entries: number
  readonly openedMs: number
  readonly firstHitMs: number
  readonly wasHit: boolean
  readonly loadedMs: number
  readonly longestTurnMs: number
  readonly bytesPerEntry: number
  readonly peakBytesPerEntry: number
  readonly evicted: number
  readonly old: number
  readonly evictedOld: number
}

const seconds = (value: number): string => `${(value / 1000).toFixed(2)} s`
const bytes = (value: number): string => `${Math.round(value)} bytes`

export const cacheEntries: Part = {
  name: 'cache-entries',
  title: 'A cache directory of a million entries',
  about:
    'The start of a proxy on a directory of a million entries, a thousand of which were used years ago. The bound of the cache has room for all the others. "Answers" is the time until the first hit, while the names are still being read; the longest turn is that of the event loop meanwhile.',
  run: async () => {
    const { stdout } = await runTool(process.execPath, ['--expose-gc', program])
    const found = JSON.parse(stdout) as Measured
    return {
      tables: [
        {
          columns: [
            'entries',
            'opened',
            'answers',
            'all read',
            'longest turn',
            'memory of an entry',
            'at the peak',
          ],
          rows: [
            [
              String(found.entries),
              seconds(found.openedMs),
              seconds(found.firstHitMs),
              seconds(found.loadedMs),
              seconds(found.longestTurnMs),
              bytes(found.bytesPerEntry),
              bytes(found.peakBytesPerEntry),
            ],
          ],
        },
      ],
      outcomes: [
        atMost({ what: 'memory of an entry', limit: 300, measured: found.bytesPerEntry, format: bytes }),
        atMost({
          what: 'time until the first hit',
          limit: 1000,
          measured: found.firstHitMs,
          format: seconds,
        }),
        mustHold('a hit while the names are read', String(found.wasHit), found.wasHit),
        mustHold(
          'the entries that were not used for longest go, and no others',
          `${found.evictedOld} of ${found.old}, ${found.evicted - found.evictedOld} others`,
          found.evictedOld === found.old && found.evicted === found.old,
        ),
      ],
    }
  },
}
