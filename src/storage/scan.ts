/**
 * The entries of a cache directory as an operator sees them: listed, compared with their digests, removed. It needs no lock: entries are
 * never changed, and a proxy that finds one removed fetches it again.
 */
import { createHash } from 'node:crypto'
import { open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkVersion, parseEntryName, shardOf, shardsOf, type EntryKind } from './cache-directory.ts'
import { decodeDocument, type StoredDocument } from './documents.ts'

export interface ScannedEntry {
  readonly kind: EntryKind
  readonly digest: string
  readonly path: string
  /** Bytes, as the name says. */
  readonly size: number
}

const chunkBytes = 1024 * 1024

/** @throws {Error} for a directory that is not a cache of this version */
export const checkCacheDirectory = (root: string): void => {
  const flag = `--cache-dir=${root}`
  let names: readonly string[]
  try {
    names = readdirSync(root)
  } catch (error) {
    throw new Error(`${flag} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
  if (!checkVersion(root, names, flag)) throw new Error(`${flag} is not a cache: no proxy has used it yet`)
}

const namesIn = async (folder: string): Promise<readonly string[]> => await readdir(folder).catch(() => [])

const entriesIn = async (kind: EntryKind, shard: string): Promise<readonly ScannedEntry[]> =>
  (await namesIn(shard)).flatMap((name) => {
    const entry = parseEntryName(name)
    return entry === undefined ? [] : [{ ...entry, kind, path: join(shard, name) }]
  })

export async function* entriesOf(root: string, kind: EntryKind): AsyncGenerator<ScannedEntry> {
  for (const shard of shardsOf(root, kind)) yield* await entriesIn(kind, shard)
}

/** The entries of a digest: at most one of each kind. */
export const entriesNamed = async (root: string, digest: string): Promise<readonly ScannedEntry[]> => {
  const kinds = ['blobs', 'manifests'] as const
  const found = await Promise.all(
    kinds.map(async (kind) => await entriesIn(kind, shardOf(root, kind, digest))),
  )
  return found.flat().filter((entry) => entry.digest === digest)
}

/** Undefined for an entry that is missing or does not match its digest. */
export const readManifest = async ({ digest, path }: ScannedEntry): Promise<StoredDocument | undefined> =>
  decodeDocument(digest, await readFile(path).catch(() => Buffer.alloc(0)))

/** Reads the whole entry. Also false for an entry that cannot be read. */
export const isIntact = async (entry: ScannedEntry): Promise<boolean> => {
  try {
    if ((await stat(entry.path)).size !== entry.size) return false
    return entry.kind === 'manifests'
      ? (await readManifest(entry)) !== undefined
      : (await digestOf(entry)) === entry.digest
  } catch {
    return false
  }
}

const digestOf = async ({ digest, path }: ScannedEntry): Promise<string> => {
  const [algorithm = ''] = digest.split(':')
  const hash = createHash(algorithm)
  const buffer = Buffer.allocUnsafe(chunkBytes)
  await using file = await open(path, 'r')
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes)
    if (bytesRead === 0) return `${algorithm}:${hash.digest('hex')}`
    hash.update(buffer.subarray(0, bytesRead))
  }
}

export const removeEntry = async ({ path }: ScannedEntry): Promise<void> => await rm(path, { force: true })
