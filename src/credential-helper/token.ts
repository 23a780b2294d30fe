/** Checks the form of a token, and reads its expiry. */
import { HelperError } from './helper-error.ts'
import { trimBlanks } from '../secrets/pasted-text.ts'

const maxLength = 16 * 1024

/** @throws {HelperError} with `otherwise`, never with the text: it may be a secret of another form */
export const readToken = (text: string, otherwise: string): string => {
  const token = trimBlanks(text)
  if (token === '' || token.length > maxLength || /[^\x21-\x7e]/.test(token)) throw new HelperError(otherwise)
  return token
}

/** @returns milliseconds since 1970; undefined if it is no JWT, or one without `exp`. The signature is not checked. */
export const expiryOf = (token: string): number | undefined => {
  const [, payload = ''] = token.split('.')
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp?: unknown }
    return typeof exp === 'number' ? exp * 1000 : undefined
  } catch {
    return undefined
  }
}
