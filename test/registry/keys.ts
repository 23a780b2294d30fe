/** The keys that a token secret gives, derived here once more: for forgers who have read it, and to hold them to what they are. */
import { createHash, createHmac, hkdfSync } from 'node:crypto'

export const hashOf = (secret: string): Uint8Array => createHash('sha256').update(secret).digest()

export const purposeKeyOf = (secret: string, label: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', hashOf(secret), '', label, 32))

export const loginKeyOf = (
  secret: string,
  { username, password }: { readonly username: string; readonly password: string },
): Uint8Array =>
  createHmac('sha256', purposeKeyOf(secret, 'quay-proxy robot login 1'))
    .update(JSON.stringify([username, password]))
    .digest()
