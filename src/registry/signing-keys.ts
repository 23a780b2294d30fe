/**
 * The keys of our own signatures, newest first: a rotation logs nobody out.
 */
import { createHash } from 'node:crypto'

/** The signing key first, then those that are still honoured. */
export type Keys = () => readonly Uint8Array[]

export interface KeysOptions {
  readonly file: {
    readonly current: () => readonly Uint8Array[]
    readonly onChange: (listener: (keys: readonly Uint8Array[]) => void) => void
  }
  /** Milliseconds for which a replaced key is honoured: the life of what it signed. */
  readonly honouredMs: number
  readonly now?: () => number
}

/** Of the keys in a file that may change: those that were replaced while we run are honoured beside those in it. */
export const createKeys = ({ file, honouredMs, now = Date.now }: KeysOptions): Keys => {
  let current = file.current()
  let replaced: readonly { key: Uint8Array; until: number }[] = []
  file.onChange((next) => {
    const until = now() + honouredMs
    replaced = [...current.map((key) => ({ key, until })), ...replaced].filter((old) => old.until > now())
    current = next
  })
  return () => [...current, ...replaced.filter(({ until }) => until > now()).map(({ key }) => key)]
}

/** Shortest secret that is accepted: below that it could be guessed offline from one token. */
const minSecretLength = 16

/**
 * One key a line, the signing one first; a rotation writes the new one above the old one. Keys are hashed to the length that
 * HS256 wants.
 * @throws {Error} where there is none, or one is too short
 */
export const parseTokenSecret = ([content = '']: readonly string[]): readonly Uint8Array[] => {
  const secrets = content
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (secrets.length === 0) throw new Error('the token secret file is empty')
  if (secrets.some((secret) => secret.length < minSecretLength))
    throw new Error(`the token secret file holds a key of fewer than ${minSecretLength} characters`)
  return secrets.map((secret) => createHash('sha256').update(secret).digest())
}
