/**
 * The compile cache of Node.js: compiled modules of earlier starts. It takes half of the CPU from a start. The image comes with one, which
 * nobody can write. This file is JavaScript: with the first TypeScript that is not cached, Node.js loads its compiler.
 */
import { accessSync, constants, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {object} CompileCacheOptions
 * @property {string} directory
 * @property {(() => number) | undefined} getUserId undefined on Windows
 * @property {string} temporary where a link may be made: in memory, because the file system of a container may be read-only
 */

/**
 * Attack: in the shared folder for temporary files, Node's default, another user could put code into the cache.
 * @type {CompileCacheOptions}
 */
const ofPrograms = {
  directory: fileURLToPath(new URL('../node_modules/.cache/quay-proxy', import.meta.url)),
  getUserId: process.getuid,
  temporary: '/dev/shm',
}

/**
 * @param {CompileCacheOptions} options
 * @returns {() => void} removes the link; call it at the exit
 */
export const useCompileCache = (options = ofPrograms) => {
  const link = linkFor(options)
  module.enableCompileCache(link === undefined ? options.directory : dirname(link))
  return () => {
    if (link !== undefined) rmSync(dirname(link), { recursive: true, force: true })
  }
}

/**
 * Node.js names a cache after its release and the user: `v26.10.0-x64-310b2ce3-1001`. OpenShift runs each namespace as another user, which
 * is not known when the image is built. The link gives the cache of the image the name of that user.
 * @param {CompileCacheOptions} options
 * @returns {string | undefined}
 */
const linkFor = ({ directory, getUserId, temporary }) => {
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

/** @param {string} directory */
const canWrite = (directory) => {
  try {
    accessSync(directory, constants.W_OK)
    return true
  } catch {
    return false
  }
}
