/**
 * The key of an object in the bucket: `<prefix>/blobs/sha256/<2 digits>/<hex>`, and the same for manifests. A blob is stored as its bytes,
 * a manifest as on the disk: its media type, a newline, its bytes.
 */
import type { EntryKind } from '../cache-directory.ts'

/** @param prefix without a slash at its ends; empty for none */
export const objectKey = (prefix: string, kind: EntryKind, digest: string): string => {
  const [algorithm = '', hex = ''] = digest.split(':')
  return `${prefix === '' ? '' : `${prefix}/`}${kind}/${algorithm}/${hex.slice(0, 2)}/${hex}`
}
