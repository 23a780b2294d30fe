/**
 * Where a tag list goes on, when the last tag that was looked at is one that the asker may not see: sealed, so that the Link
 * does not tell its name. Any replica with the same token secret opens it.
 */
import { CompactEncrypt, compactDecrypt } from 'jose'
import { RegistryError } from '../errors.ts'

export interface TagCursors {
  /** A value for `last` that reads as no tag. */
  readonly seal: (tag: string) => Promise<string>
  /** The tag behind a value of `last`, whether plain or sealed. @throws {RegistryError} TAG_INVALID */
  readonly open: (last: string) => Promise<string>
}

/** No tag begins with it. */
const mark = '~'
/** The characters of a tag; a joined tag twice over, since registries differ on what they allow here. */
const plainPattern = /^[a-zA-Z0-9_.-]{1,256}$/

export const createTagCursors = (keys: () => readonly Uint8Array[]): TagCursors => ({
  seal: async (tag) => {
    const [key = new Uint8Array()] = keys()
    const sealed = new CompactEncrypt(Buffer.from(tag)).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    return mark + (await sealed.encrypt(key))
  },
  open: async (last) => {
    if (plainPattern.test(last)) return last
    for (const key of keys()) {
      const opened = await compactDecrypt(last.slice(mark.length), key).then(
        ({ plaintext }) => Buffer.from(plaintext).toString(),
        () => undefined,
      )
      if (opened !== undefined) return opened
    }
    throw new RegistryError(
      'TAG_INVALID',
      'last is neither a tag nor where one of our lists ended; list from the start',
    )
  },
})
