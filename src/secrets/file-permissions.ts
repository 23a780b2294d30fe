/**
 * Checks whether every user of a machine may read or write a file with secrets, or with settings that decide about them.
 */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** `public`: everybody may read it, but nobody else may write it, such as a certificate or a user name. */
export type FileKind = 'secret' | 'public'

const readable = 0o004
const writable = 0o002

/**
 * A warning if every user may read or write the file at a path, with the command that changes it; undefined if they may not.
 *
 * By default the kubelet makes the files of a secret volume readable for everybody, but only the containers of the pod that mount it see
 * them. So this is no warning for a secret volume; writable files are.
 * @throws {Error} if the file does not exist
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

/** A secret volume: its files are in a folder `..2026_11_28_..`, which the link `..data` next to it points to. */
const isOfKubernetes = (path: string): boolean => {
  let folder = dirname(realpathSync(path))
  while (folder !== dirname(folder)) {
    const data = join(dirname(folder), '..data')
    if (basename(folder).startsWith('..') && existsSync(data) && realpathSync(data) === folder) return true
    folder = dirname(folder)
  }
  return false
}

/** Quotes a path for a shell. */
const quoted = (path: string): string =>
  /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
