/**
 * Locks a directory for one process, because two would overwrite each other's files. The lock is a file with the host, the process id and
 * the start time of the holder. A killed process leaves its lock behind, and the next process can tell by these three values that the
 * holder is gone. Node has no `flock`, and libraries do only what this file does.
 */
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { isAbsent, isFull } from './disk.ts'

const renewEveryMs = 15_000
const staleAfterMs = 60_000

export interface DirectoryLock {
  readonly release: () => void
}

export interface LockHolder {
  readonly host: string
  readonly pid: number
  /** When the process started, as the kernel counts it: the kernel uses process ids again. */
  readonly start?: string | undefined
}

export interface DirectoryLockOptions {
  readonly directory: string
  /** The flag that named the directory: `--cache-dir`. */
  readonly flag: string
  readonly self?: LockHolder
  /** Milliseconds between two renewals. The age of a lock shows whether a process on another host still runs. */
  readonly everyMs?: number
}

/** Directories that this process holds. Without this set, its own lock would look like that of an earlier run with the same process id. */
const held = new Set<string>()

const thisProcess = (): LockHolder => ({
  host: hostname(),
  pid: process.pid,
  start: startOf(process.pid),
})

/** @throws {Error} if another process has it, or the directory cannot be written to */
export const lockDirectory = ({
  directory,
  flag,
  self = thisProcess(),
  everyMs = renewEveryMs,
}: DirectoryLockOptions): DirectoryLock => {
  const path = join(resolve(directory), 'lock')
  const inUse = ({ host, pid }: LockHolder) =>
    new Error(
      `${flag}=${directory} is in use by process ${pid} of ${host}; give each proxy a directory of its own (or remove ${path} if that process is gone)`,
    )
  if (held.has(path)) throw inUse(self)
  for (let attempt = 1; !create(path, self, `${flag}=${directory}`); attempt++) {
    const text = textOf(path)
    const holder = holderIn(text)
    if (attempt > maxAttempts || isHeld(text, self, path)) throw inUse(holder ?? self)
    removeStale(path, text, self, `${flag}=${directory}`)
  }
  if (self.pid === process.pid) held.add(path)
  const timer = setInterval(() => renew(path, self), everyMs).unref()
  return {
    release: () => {
      clearInterval(timer)
      held.delete(path)
      if (isOwn(path, self)) remove(path)
    },
  }
}

const remove = (path: string): void => {
  try {
    rmSync(path, { force: true })
  } catch {
    // On a read-only disk the lock stays. The next process can tell that its holder is gone.
  }
}

/** An operator may have removed the lock, and another process has it now. */
const isOwn = (path: string, self: LockHolder): boolean =>
  ['', JSON.stringify(self)].includes(textOf(path) ?? '-')

/** Whether any process holds the directory, this one included. */
export const isDirectoryInUse = (directory: string, self: LockHolder = thisProcess()): boolean => {
  const path = join(resolve(directory), 'lock')
  return held.has(path) || isHeld(textOf(path), self, path)
}

/** An empty lock: another process has just created it and is still writing it, or the disk of its holder is full. */
const isHeld = (text: string | undefined, self: LockHolder, path: string): boolean => {
  const holder = holderIn(text)
  return holder === undefined ? text === '' && ageMs(path) < staleAfterMs : isAlive(holder, self, path)
}

/** Another process that starts at the same time may take a stale lock first. */
const maxAttempts = 3

/** @returns false if there is a lock already. @throws {Error} if none can be written */
const create = (path: string, self: LockHolder, flag: string): boolean => {
  try {
    writeFileSync(path, JSON.stringify(self), { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    // On a full disk the lock is empty. Its time is enough for the others, and the proxy serves what the disk has.
    if (isFull(error) && textOf(path) === '') return true
    throw unwritable(flag, error)
  }
}

const unwritable = (flag: string, cause: unknown): Error =>
  new Error(
    `${flag} cannot be written to (${(cause as NodeJS.ErrnoException).code}); make it a directory of this user`,
    { cause },
  )

/** Undefined if the lock was removed meanwhile. */
const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Undefined for a file that is not a complete lock. */
const holderIn = (text = ''): LockHolder | undefined => {
  try {
    const { host, pid, start } = JSON.parse(text) as Partial<LockHolder>
    return typeof host === 'string' && typeof pid === 'number' ? { host, pid, start } : undefined
  } catch {
    return undefined
  }
}

/**
 * Moves the lock to another name, in which only one of two processes can succeed. Race: the other process may have replaced the stale lock just
 * before, so that its new lock is moved. Then that lock is put back.
 * @throws {Error} if it cannot be moved
 */
const removeStale = (path: string, text: string | undefined, { pid }: LockHolder, flag: string): void => {
  const stale = `${path}.stale.${pid}`
  try {
    renameSync(path, stale)
    if (textOf(stale) === text) rmSync(stale)
    else renameSync(stale, path)
  } catch (error) {
    // The other process was faster: the next attempt finds its lock.
    if (!isAbsent(error)) throw unwritable(flag, error)
  }
}

const isAlive = (holder: LockHolder, self: LockHolder, path: string): boolean => {
  if (holder.host !== self.host) return ageMs(path) < staleAfterMs
  // In a container, every run of the program has the same process id.
  if (holder.pid === self.pid) return false
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const start = startOf(holder.pid)
  return start === undefined || holder.start === undefined || start === holder.start
}

const ageMs = (path: string): number => {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return Infinity
  }
}

/** Field 22 of `/proc/<pid>/stat`; undefined if the system has no such file. @see proc_pid_stat(5) */
const startOf = (pid: number): string | undefined => {
  const stat = textOf(`/proc/${pid}/stat`)
  // The name of the program is in parentheses, and may contain spaces and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

/** Writes a lock again that was removed with everything else in the directory, or that was empty on a full disk. */
const renew = (path: string, self: LockHolder): void => {
  try {
    if (textOf(path) === undefined) create(path, self, path)
    if (!isOwn(path, self)) return
    utimesSync(path, new Date(), new Date())
    if (textOf(path) === '') writeFileSync(path, JSON.stringify(self), { flag: 'r+' })
  } catch {
    // The volume is gone or read-only: the next write reports it.
  }
}
