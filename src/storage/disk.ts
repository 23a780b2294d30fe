/**
 * The calls to the file system that the store makes, on descriptors and without streams: a stream costs several times as much for each
 * chunk. An interface, so that a test can inject the errors of a disk.
 */
import { close, constants, fstat, fsync, open, read, write } from 'node:fs'
import * as files from 'node:fs/promises'
import { dirname } from 'node:path'
import { steadyWallClock } from '../concurrency/clock.ts'

export interface OpenFile {
  /** The descriptor. */
  readonly fd: number
  /** Bytes. */
  readonly size: number
  /** Milliseconds since 1970, with a fraction. */
  readonly mtimeMs: number
}

export interface FileTimes {
  readonly size: number
  /** Milliseconds since 1970. */
  readonly mtimeMs: number
}

export interface Disk {
  readonly open: (path: string) => Promise<OpenFile>
  /** For reading and writing. Creates its folder. @throws {Error} EEXIST */
  readonly create: (path: string) => Promise<number>
  /** @returns bytes read, fewer than the buffer has only at the end of the file */
  readonly read: (fd: number, into: Buffer, position: number) => Promise<number>
  readonly write: (fd: number, bytes: Buffer, position: number) => Promise<void>
  readonly close: (fd: number) => Promise<void>
  readonly sync: (fd: number) => Promise<void>
  /** Renames a file whose bytes are synced, so that its new name outlives a crash. Creates the folder of the new name. */
  readonly publish: (from: string, to: string) => Promise<void>
  readonly remove: (path: string) => Promise<void>
  readonly touch: (path: string) => Promise<void>
  readonly times: (path: string) => Promise<FileTimes>
  readonly timesOf: (fd: number) => Promise<FileTimes>
  /** Names in a folder; none if there is no such folder. */
  readonly list: (path: string) => Promise<readonly string[]>
  /** Free bytes for this user. */
  readonly freeBytes: (path: string) => Promise<number>
}

export const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

/** No room is left on the disk, or for this user. */
export const isFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')

/** The process or the system has no descriptor or no memory left, or the disk does not answer in time. */
const shortages = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR'])

/** Whether an error says that the file itself cannot be read. After all others the file is as good as before. */
export const isOfFile = (error: unknown): boolean => {
  const { code = '', name } = error as NodeJS.ErrnoException
  return name !== 'DiskTooSlow' && !shortages.has(code)
}

const called = async <Value>(
  call: (done: (error: Error | null, value: Value) => void) => void,
): Promise<Value> =>
  await new Promise((resolve, reject) => {
    call((error, value) => (error === null ? resolve(value) : reject(error)))
  })

/** Attack: a link out of the cache, and a pipe that nobody writes into, which would hold the thread that opens it for ever. */
const entryFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

const timesOf = async (fd: number): Promise<FileTimes> => await called<FileTimes>((done) => fstat(fd, done))

const openFile = async (path: string): Promise<OpenFile> => {
  const fd = await called<number>((done) => open(path, entryFlags, done))
  try {
    const { size, mtimeMs } = await timesOf(fd)
    return { fd, size, mtimeMs }
  } catch (error) {
    await closeFile(fd)
    throw error
  }
}

const closeFile = async (fd: number): Promise<void> => await called<void>((done) => close(fd, done))

/** Creates the folder, too: somebody may have emptied the directory. */
const createFile = async (path: string): Promise<number> => {
  const create = async () => await called<number>((done) => open(path, 'wx+', 0o600, done))
  try {
    return await create()
  } catch (error) {
    if (!isAbsent(error)) throw error
    await files.mkdir(dirname(path), { recursive: true, mode: 0o700 })
    return await create()
  }
}

const writeAll = async (fd: number, bytes: Buffer, position: number): Promise<void> => {
  for (let at = 0; at < bytes.length;)
    at += await called<number>((done) => write(fd, bytes, at, bytes.length - at, position + at, done))
}

const readAll = async (fd: number, into: Buffer, position: number): Promise<number> => {
  let at = 0
  for (let count = -1; at < into.length && count !== 0; at += count)
    count = await called<number>((done) => read(fd, into, at, into.length - at, position + at, done))
  return at
}

const syncFolder = async (path: string): Promise<void> => {
  await using folder = await files.open(path, 'r')
  await folder.sync()
}

const publish = async (from: string, to: string): Promise<void> => {
  try {
    await files.rename(from, to)
  } catch (error) {
    if (!isAbsent(error)) throw error
    await files.mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await files.rename(from, to)
    await syncFolder(dirname(dirname(to)))
  }
  await syncFolder(dirname(to))
}

/**
 * The order of use must be right also if the clock of the machine was wrong at the start, or is set back meanwhile: an entry in use must not
 * look old.
 */
const timesNow = (): [Date, Date] => {
  const now = new Date(Math.max(Date.now(), steadyWallClock()))
  return [now, now]
}

export const systemDisk: Disk = {
  open: openFile,
  create: createFile,
  read: readAll,
  write: writeAll,
  close: closeFile,
  sync: async (fd) => await called<void>((done) => fsync(fd, done)),
  publish,
  remove: async (path) => await files.rm(path, { force: true }),
  touch: async (path) => await files.utimes(path, ...timesNow()),
  times: async (path) => await files.stat(path),
  timesOf,
  list: async (path) =>
    await files.readdir(path).catch((error: unknown) => (isAbsent(error) ? [] : Promise.reject(error))),
  freeBytes: async (path) => {
    const { bavail, bsize } = await files.statfs(path)
    return bavail * bsize
  },
}
