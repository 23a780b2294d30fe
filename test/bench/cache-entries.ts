/**
 * A cache directory of a million entries: `node --expose-gc test/bench/cache-entries.ts [entries]`. Prints one JSON object with what its
 * start costs, and whether the entries that were not used for longest go first. It needs a million inodes in the temporary folder.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { entryPath, shardsOf } from '../../src/storage/cache-directory.ts'
import { openStorage } from '../../src/storage/storage.ts'

const entries = Number(process.argv[2] ?? 1_000_000)
/** Entries that were used years ago, spread over all folders. */
const old = Math.round(entries / 1000)
const blockBytes = 4096

const gc = globalThis.gc
if (gc === undefined) throw new Error('run with node --expose-gc')

const used = (): number => {
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const digestOf = (index: number): string =>
  `sha256:${createHash('sha256').update(String(index)).digest('hex')}`
const isOld = (index: number): boolean => index % 1000 === 7

/** Empty files: nobody reads them here, and the index reads names and times alone. */
const write = (root: string): void => {
  for (const shard of shardsOf(root, 'blobs')) mkdirSync(shard, { recursive: true })
  for (let index = 0; index < entries; index++) {
    const path = entryPath(root, 'blobs', { digest: digestOf(index), size: 0 })
    writeFileSync(path, '')
    if (isOld(index)) utimesSync(path, 1_500_000_000, 1_500_000_000 + index)
  }
}

const open = (directory: string, maxBytes: number, onEvicted: (bytes: number) => unknown) =>
  openStorage({
    directory,
    maxBytes,
    observe: {
      fillEnded: () => undefined,
      evicted: (_kind, bytes) => void onEvicted(bytes),
      corrupt: () => undefined,
      warning: () => undefined,
    },
  })

const measure = async (root: string) => {
  const evicted: number[] = []
  const before = used()
  const residentBefore = process.memoryUsage().rss
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  const began = performance.now()
  // A twentieth of the bound is for manifests.
  const storage = open(root, Math.floor(((entries - old) * blockBytes * 20) / 19) + 20, (bytes) =>
    evicted.push(bytes),
  )
  const openedMs = performance.now() - began
  let peak = 0
  const watching = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20)
  const loading = storage.load(new AbortController().signal)
  const sentAt = performance.now()
  const file = await storage.blobs.find(digestOf(1), 'bench')
  const firstHitMs = performance.now() - sentAt
  await file?.close()
  await loading
  const loadedMs = performance.now() - began
  delays.disable()
  clearInterval(watching)
  const { entries: kept } = storage.blobs.stats()
  const gone = Array.from({ length: entries }, (_, index) => index).filter(
    (index) => !storage.blobs.has(digestOf(index)),
  )
  const result = {
    entries,
    openedMs,
    firstHitMs,
    wasHit: file !== undefined,
    loadedMs,
    longestTurnMs: delays.max / 1e6,
    bytesPerEntry: (used() - before) / kept,
    peakBytesPerEntry: (peak - residentBefore) / entries,
    evicted: evicted.length,
    old,
    evictedOld: gone.filter(isOld).length,
  }
  await storage.close()
  return result
}

const root = mkdtempSync(join(tmpdir(), 'quay-proxy-entries-'))
try {
  // An empty cache: a folder with other files would be refused.
  await open(root, 1e9, () => undefined).close()
  write(root)
  process.stdout.write(`${JSON.stringify(await measure(root))}\n`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
