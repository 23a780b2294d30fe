/**
 * Parses and writes paths below `/mirrors`. They name an image as the configuration of the mirror does.
 */
import { RegistryError } from '../../oci/errors.ts'
import { quoteName } from '../../oci/quote-name.ts'
import { mirrorPaths } from '../../registry/route-paths.ts'

export interface MirrorPath {
  /** `ocp/ubi:9`, or `registry.ci.openshift.org/ocp/ubi:9` for an image that goes to app.ci. */
  readonly target: string
  readonly isSync: boolean
}

/** No part can be `.` or `..`, or contain a character that is encoded in a URL. */
const targetPattern =
  /^(?:[A-Za-z0-9][\w.-]{0,252}\/)?[A-Za-z0-9][\w.-]{0,252}\/[A-Za-z0-9][\w.-]{0,252}:[A-Za-z0-9][\w.-]{0,252}$/
const syncSuffix = '/sync'

export const isMirrorTarget = (text: string): boolean => targetPattern.test(text)

/**
 * @param path below `/mirrors/`, as the router has decoded it. The pattern of targets refuses everything that an escape could hide.
 * @throws {RegistryError} NAME_INVALID
 */
export const parseMirrorPath = (path: string): MirrorPath => {
  const isSync = path.endsWith(syncSuffix)
  return { target: parseMirrorTarget(isSync ? path.slice(0, -syncSuffix.length) : path), isSync }
}

/** The methods of `/mirrors`. */
export const mirrorListMethods = 'GET, POST'

/** The methods of a path below `/mirrors/`. */
export const mirrorImageMethodsOf = (path: string): string => (path.endsWith(syncSuffix) ? 'POST' : 'GET')

/** The methods of `/mirrors`, or of a path below it; undefined for other paths. */
export const mirrorMethodsOf = (path: string): string | undefined => {
  if (path === mirrorPaths.list) return mirrorListMethods
  return path.startsWith(`${mirrorPaths.list}/`) ? mirrorImageMethodsOf(path) : undefined
}

/** @throws {RegistryError} NAME_INVALID */
export const parseMirrorTarget = (text: string): string => {
  if (isMirrorTarget(text)) return text
  throw unknownTarget(text)
}

export const unknownTarget = (text: string): RegistryError =>
  new RegistryError('NAME_INVALID', 'write the image as the mirror names it: /mirrors/ocp/ubi:9', {
    forLog: { rejected: quoteName(text) },
  })

/** The path on the proxy, and in RBAC. */
export const pagePathOf = (target: string): string => `${mirrorPaths.list}/${target}`

/** The path in the API of the mirror. */
export const apiPath = '/api/v1/mirrors'

export const apiPathOf = (target: string, isSync: boolean): string =>
  `${apiPath}/${target.split('/').map(encodeURIComponent).join('/')}${isSync ? syncSuffix : ''}`
