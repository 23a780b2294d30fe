/**
 * The compile cache of Node.js: compiled modules of earlier starts. It takes half of the CPU from a start. The image comes with one, which
 * nobody can write.
 */
import { accessSync, constants, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { dirname, join } from 'node:path'

export interface CompileCacheOptions {
  readonly directory: string
  /** Undefined on Windows. */
  readonly getUserId: (() => number) | undefined
  /** Where a link may be made: in memory, because the file system of a container may be read-only. */
  readonly temporary: string
}

/** @returns removes what it made, to be called at the exit */
export const useCompileCache = (options: CompileCacheOptions): (() => void) => {
  const link = linkFor(options)
  enableCompileCache(link === undefined ? options.directory : dirname(link))
  return () => {
    if (link !== undefined) rmSync(dirname(link), { recursive: true, force: true })
  }
}

/**
 * Node.js names a cache after its release and the user: `v26.10.0-x64-310b2ce3-1001`. OpenShift runs each namespace as another user, which
 * is not known when the image is built. The link gives the cache of the image the name of that user.
 */
const linkFor = ({ directory, getUserId, temporary }: CompileCacheOptions): string | undefined => {
  const userId = getUserId?.()
  try {
    const caches = readdirSync(directory)
    const [built] = caches
    if (
      userId === undefined ||
      built === undefined ||
      caches.some((name) => name.endsWith(`-${userId}`)) ||
      canWrite(directory)
    )
      return undefined
    const ofUser = `${built.slice(0, built.lastIndexOf('-'))}-${userId}`
    // Attack: in a shared folder another user could put code into a cache whose name is known. This folder is new, and of this user alone.
    const link = join(mkdtempSync(join(temporary, 'quay-proxy-cache-')), ofUser)
    symlinkSync(join(directory, built), link)
    return link
  } catch {
    // There is no cache yet, or no place for a link. Node.js compiles as usual then.
    return undefined
  }
}

const canWrite = (directory: string): boolean => {
  try {
    accessSync(directory, constants.W_OK)
    return true
  } catch {
    return false
  }
}
