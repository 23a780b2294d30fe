/**
 * Whether everybody on a machine may read or write a file that holds, or decides on, secrets.
 */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** `public` may be read by everybody, and be written by nobody else all the same: a certificate, a user name. */
export type FileKind = 'secret' | 'public'

const readable = 0o004
const writable = 0o002

/**
 * What everybody may do with the file that a path leads to, and the command that ends it; undefined where that is nothing.
 *
 * The kubelet makes the files of a secret volume readable by everybody unless it is told otherwise, and only the containers of the
 * pod that mount it see them: that is not told. Writable ones are.
 * @throws {Error} where the file is away
 */
export const exposureOf = (path: string, kind: FileKind): string | undefined => {
  const { mode } = statSync(path)
  if ((mode & (readable | writable)) === 0) return undefined
  const isVolume = isOfKubernetes(path)
  const isRead = kind === 'secret' && !isVolume && (mode & readable) !== 0
  const isWritten = (mode & writable) !== 0
  if (!isRead && !isWritten) return undefined
  const may = [...(isRead ? ['read'] : []), ...(isWritten ? ['written'] : [])].join(' and ')
  const remedy = isVolume
    ? 'set defaultMode: 0440 on its volume'
    : `chmod ${kind === 'secret' ? 'o-rwx' : 'o-w'} ${quoted(path)}`
  return `${path} can be ${may} by everybody on this machine (mode ${(mode & 0o777).toString(8).padStart(4, '0')}): ${remedy}`
}

/** A secret volume: files below `..2026_11_28_..`, which the link `..data` beside it points to. */
const isOfKubernetes = (path: string): boolean => {
  let folder = dirname(realpathSync(path))
  while (folder !== dirname(folder)) {
    const data = join(dirname(folder), '..data')
    if (basename(folder).startsWith('..') && existsSync(data) && realpathSync(data) === folder) return true
    folder = dirname(folder)
  }
  return false
}

/** For a shell. */
const quoted = (path: string): string =>
  /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
