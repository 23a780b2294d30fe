/**
 * Makes a foreign text fit for a log line or a message: short, printable, and without the secret that it is about.
 */
import { parseAnswer } from '../oci/json-bounds.ts'
import { printableAscii } from '../oci/printable.ts'

/** Characters. The longest known message of RBAC has about 200. */
const maxLength = 300

/** @param secret is replaced wherever the text contains it: an API server, or a webhook behind it, may quote its request. */
export const printable = (text: string, secret = '', max = maxLength): string => {
  const safe = secret === '' ? text : text.replaceAll(secret, '(token)')
  // Cut before it is escaped, so that the work does not grow with the text.
  const cut = safe.length > max ? `${safe.slice(0, max)}..` : safe
  return printableAscii(cut)
}

/** The message of a Kubernetes Status, in quotes. */
export const statusMessage = (text: string, secret = ''): string => {
  try {
    const { message } = parseAnswer(Buffer.from(text)) as { message?: unknown }
    if (typeof message === 'string') return JSON.stringify(printable(message, secret))
  } catch {
    // Not JSON, so it is the page of another server. The log does not quote it.
  }
  return 'without a reason'
}
