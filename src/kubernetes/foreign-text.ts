/**
 * What somebody else wrote, made fit for a log line or a message: short, printable, and without the secret it was about.
 */

/** Enough for the API server's own words: the longest message of RBAC that we know has some 200 characters. */
const maxLength = 300

/** @param secret never shown, should the text hold it: an API server, or a webhook behind it, may quote what it was asked. */
export const printable = (text: string, secret = '', max = maxLength): string => {
  const known = secret === '' ? text : text.replaceAll(secret, '(token)')
  // Cut before it is escaped: whatever the length of the text, this much of it is looked at.
  const cut = known.length > max ? `${known.slice(0, max)}..` : known
  return cut.replaceAll(/[^\x20-\x7e]/g, '?')
}
