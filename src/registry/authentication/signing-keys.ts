/**
 * The keys of our signatures and seals, newest first. They come from the file of the token secret: a secret that was removed from the
 * file signs and opens nothing after the file is read again.
 */
import { hkdfSync } from 'node:crypto'

/** The first key signs; all keys are accepted. */
export type Keys = () => readonly Uint8Array[]

/**
 * Attack: a value of one purpose, presented for another one. Every requester gets tag cursors, and with `--allow-anonymous` every client
 * gets a token: each purpose has its own derived key.
 */
export interface PurposeKeys {
  readonly robotLogins: Keys
  readonly anonymousLogins: Keys
  readonly listCursors: Keys
}

/** The HKDF label. A change of it invalidates all earlier signatures. */
const labels = {
  robotLogins: 'quay-proxy robot login 1',
  anonymousLogins: 'quay-proxy anonymous login 1',
  listCursors: 'quay-proxy list cursor 1',
} as const satisfies Readonly<Record<keyof PurposeKeys, string>>

/** @param secrets returns the same array until the file changes */
export const createPurposeKeys = (secrets: Keys): PurposeKeys => ({
  robotLogins: derived(secrets, labels.robotLogins),
  anonymousLogins: derived(secrets, labels.anonymousLogins),
  listCursors: derived(secrets, labels.listCursors),
})

/** Derived once for each content of the file, because every request needs them. */
const derived = (secrets: Keys, label: string): Keys => {
  let from: readonly Uint8Array[] | undefined
  let keys: readonly Uint8Array[] = []
  return () => {
    const current = secrets()
    if (current !== from)
      keys = current.map((secret) => new Uint8Array(hkdfSync('sha256', secret, '', label, 32)))
    from = current
    return keys
  }
}
