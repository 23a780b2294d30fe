/**
 * The directory of the cache: which process owns it, and where it stores what.
 *
 *     version                              quay-proxy cache 1
 *     lock                                 the process that has it
 *     blobs/sha256/<2 digits>/<hex>.<size>       complete, synced, of that digest
 *     manifests/sha256/<2 digits>/<hex>.<size>   media type, a newline, bytes of that digest
 *     fills/<random>                       unfinished: removed at the start
 *     removals/<random>                    of `cache rm`, for the process that has the directory
 *     tags                                 tag -> digest last seen, an entry a line
 *
 * The size is a part of the name: a file that was cut is told at once, without reading it.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lockDirectory } from './directory-lock.ts'

const version = 'quay-proxy cache 1\n'
const folders = ['blobs', 'manifests', 'fills'] as const

export type EntryKind = 'blobs' | 'manifests'

export interface EntryName {
  readonly digest: string
  /** Bytes. */
  readonly size: number
}

export interface CacheDirectory {
  readonly path: string
  readonly close: () => void
}

/** @throws {Error} if another process has it, it is of another version, or it cannot be written to */
export const openCacheDirectory = (path: string): CacheDirectory => {
  const flag = `--cache-dir=${path}`
  const names = made(path, flag)
  const isOurs = checkVersion(path, names, flag)
  const { release } = lockDirectory({ directory: path, flag: '--cache-dir' })
  if (!isOurs) writeFileSync(join(path, 'version'), version, { mode: 0o600 })
  for (const folder of folders) mkdirSync(join(path, folder), { recursive: true, mode: 0o700 })
  // The folder stays: on a full disk it could not be created again.
  for (const fill of readdirSync(join(path, 'fills'))) rmSync(join(path, 'fills', fill), { recursive: true })
  return { path, close: release }
}

const made = (path: string, flag: string): readonly string[] => {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return readdirSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`${flag} cannot be used (${code}); make it a directory of this user`, { cause: error })
  }
}

/** @returns false for an empty directory. @throws {Error} for the directory of another program or version */
export const checkVersion = (path: string, names: readonly string[], flag: string): boolean => {
  if (!names.includes('version')) {
    const foreign = names.find((name) => !notForeign.has(name))
    if (foreign === undefined) return false
    throw new Error(`${flag} holds other files (${foreign}); give the cache a directory of its own`)
  }
  const found = readFileSync(join(path, 'version'), 'utf8')
  if (found === version) return true
  throw new Error(
    `${flag} is of another version (${JSON.stringify(found.slice(0, 40).trim())}); empty it, or name another directory`,
  )
}

/**
 * Names that a new volume has, and those that the cache writes: a process may have been killed before it wrote the version, or somebody has
 * emptied the directory while a proxy used it. Entries of another version match their digests, or are dropped.
 */
const notForeign = new Set(['lost+found', 'lock', ...folders, 'removals', 'state', 'tags', 'tags.new'])

const entryPattern = /^([0-9a-f]{64}|[0-9a-f]{128})\.(\d{1,15})$/
const algorithms: Readonly<Record<number, string>> = { 64: 'sha256', 128: 'sha512' }

/** Undefined for a file that the cache did not write. */
export const parseEntryName = (name: string): EntryName | undefined => {
  const [, hex = '', size = ''] = entryPattern.exec(name) ?? []
  return hex === '' ? undefined : { digest: `${algorithms[hex.length]}:${hex}`, size: Number(size) }
}

/** The folder of an entry, which it shares with one in 256 of all entries. */
export const shardOf = (root: string, kind: EntryKind, digest: string): string => {
  const [algorithm = '', hex = ''] = digest.split(':')
  return join(root, kind, algorithm, hex.slice(0, 2))
}

export const entryPath = (root: string, kind: EntryKind, { digest, size }: EntryName): string =>
  join(shardOf(root, kind, digest), `${digest.slice(digest.indexOf(':') + 1)}.${size}`)

/** Every folder that may hold entries. */
export const shardsOf = (root: string, kind: EntryKind): readonly string[] =>
  Object.values(algorithms).flatMap((algorithm) =>
    Array.from({ length: 256 }, (_, index) =>
      join(root, kind, algorithm, index.toString(16).padStart(2, '0')),
    ),
  )
