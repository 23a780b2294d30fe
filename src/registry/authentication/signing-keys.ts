/**
 * The keys of our own signatures and seals, newest first. The file of the token secret says all: what it does not hold (any more) signs
 * and opens nothing, from the moment that the file is read again.
 */
import { hkdfSync } from 'node:crypto'

/** The one that signs first, then those that are accepted beside it. */
export type Keys = () => readonly Uint8Array[]

/**
 * Attack: what one purpose hands out, shown for another one. Everybody who lists tags gets a cursor, and with `--allow-anonymous` anybody
 * a token: neither is made with a key that opens anything else.
 */
export interface PurposeKeys {
  readonly robotLogins: Keys
  readonly anonymousLogins: Keys
  readonly listCursors: Keys
}

/** Part of what is derived: a change ends all that was signed before it. */
const labels = {
  robotLogins: 'quay-proxy robot login 1',
  anonymousLogins: 'quay-proxy anonymous login 1',
  listCursors: 'quay-proxy list cursor 1',
} as const satisfies Readonly<Record<keyof PurposeKeys, string>>

/** @param secrets the same list for as long as the file is the same */
export const createPurposeKeys = (secrets: Keys): PurposeKeys => ({
  robotLogins: derived(secrets, labels.robotLogins),
  anonymousLogins: derived(secrets, labels.anonymousLogins),
  listCursors: derived(secrets, labels.listCursors),
})

/** Derived once for each content of the file; every request asks. */
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
