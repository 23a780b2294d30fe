/**
 * Locks a state directory for one process, because two would overwrite each other's file. The lock is a file with the host and the process
 * ID. Its time is renewed, so that another host can see whether the process is alive.
 */
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

const renewEveryMs = 15_000
const staleAfterMs = 60_000

export interface DirectoryLock {
  readonly release: () => void
}

interface Holder {
  readonly host: string
  readonly pid: number
}

/** @throws {Error} if another process has the lock, or the directory is not writable */
export const lockDirectory = (
  directory: string,
  self: Holder = { host: hostname(), pid: process.pid },
  everyMs = renewEveryMs,
): DirectoryLock => {
  const path = join(directory, 'lock')
  const take = (flag: 'wx' | 'w') => writeFileSync(path, JSON.stringify(self), { flag, mode: 0o600 })
  try {
    take('wx')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new Error(
        `--state-dir=${directory} cannot be written to (${(error as NodeJS.ErrnoException).code}); make it a directory of this user`,
        { cause: error },
      )
    const holder = holderOf(path)
    if (holder !== undefined && isAlive(holder, self, path))
      throw new Error(
        `--state-dir=${directory} is in use by process ${holder.pid} of ${holder.host}; give each proxy a directory of its own (or remove ${path} where that process is gone)`,
        { cause: error },
      )
    take('w')
  }
  const timer = setInterval(() => renew(path), everyMs).unref()
  return {
    release: () => {
      clearInterval(timer)
      rmSync(path, { force: true })
    },
  }
}

/** Undefined for a file that is not a complete lock. */
const holderOf = (path: string): Holder | undefined => {
  try {
    const { host, pid } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>
    return typeof host === 'string' && typeof pid === 'number' ? { host, pid } : undefined
  } catch {
    return undefined
  }
}

const isAlive = (holder: Holder, self: Holder, path: string): boolean => {
  if (holder.host !== self.host) return Date.now() - statSync(path).mtimeMs < staleAfterMs
  // In a container, every run of the program has the same process ID.
  if (holder.pid === self.pid) return false
  try {
    process.kill(holder.pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const renew = (path: string): void => {
  try {
    utimesSync(path, new Date(), new Date())
  } catch {
    // The volume is missing or read-only: the next write of the state reports that.
  }
}
