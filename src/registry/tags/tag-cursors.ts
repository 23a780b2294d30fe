/**
 * The position of a tag list after a tag that the requester may not see. The position is encrypted, so that the Link header tells neither
 * the name nor its length. Any replica with the same token secret decrypts it, for the same list and the same requester.
 */
import { createHash } from 'node:crypto'
import { EncryptJWT, errors, jwtDecrypt, type JWTPayload } from 'jose'
import { RegistryError } from '../../oci/errors.ts'

/**
 * The list that a cursor is valid for. Attack: a cursor of one list, used on another list with another prefix. The entries after it would
 * compare a hidden name with names that the attacker chose, letter by letter.
 */
export interface CursorScope {
  /** The path of the listed repository. */
  readonly repository: string
  readonly requester: string
}

export interface TagPosition {
  /** The last tag that was read, without the prefix of the list; empty for the beginning. */
  readonly after: string
  /** The number of empty pages before this position. */
  readonly emptyPages: number
}

export interface TagCursors {
  /** A value for `last` that cannot be read as a tag. */
  readonly seal: (position: TagPosition, scope: CursorScope) => Promise<string>
  /** The position of a value of `last`, plain or encrypted. @throws {RegistryError} TAG_INVALID */
  readonly open: (last: string, scope: CursorScope) => Promise<TagPosition>
}

/** No tag begins with this character. */
const mark = '~'
/** The characters of a tag, up to the length of two tags: registries allow different lengths here. */
const plainPattern = /^[a-zA-Z0-9_.-]{1,256}$/
/** Characters: the longest possible tag. Every cursor is padded to this length. */
const paddedTo = 128
/** Seconds. No client reads one list for longer. */
const maxAge = 24 * 60 * 60
const algorithms = { alg: 'dir', enc: 'A256GCM' }

/** @param now milliseconds since the epoch */
export const createTagCursors = (
  keys: () => readonly Uint8Array[],
  now: () => number = Date.now,
): TagCursors => ({
  seal: async ({ after, emptyPages }, scope) => {
    const [key = new Uint8Array()] = keys()
    const claims = {
      after: after.padEnd(Math.ceil(after.length / paddedTo) * paddedTo || paddedTo),
      emptyPages: String(emptyPages).padStart(6, '0'),
    }
    const sealed = new EncryptJWT(claims)
      .setProtectedHeader(algorithms)
      .setAudience(scope.repository)
      .setSubject(subjectOf(scope))
      .setExpirationTime(Math.floor(now() / 1000) + maxAge)
    return mark + (await sealed.encrypt(key))
  },
  open: async (last, scope) => {
    if (plainPattern.test(last)) return { after: last, emptyPages: 0 }
    for (const key of keys()) {
      const opened = await decrypt(last.slice(mark.length), key, scope, now())
      if (opened !== undefined)
        return { after: String(opened['after']).trimEnd(), emptyPages: Number(opened['emptyPages']) }
    }
    throw invalid('last is neither a tag nor where one of our lists ended')
  },
})

/** Undefined for a cursor of another key, another list or another requester. */
const decrypt = async (
  sealed: string,
  key: Uint8Array,
  scope: CursorScope,
  now: number,
): Promise<JWTPayload | undefined> => {
  try {
    const { payload } = await jwtDecrypt(sealed, key, {
      audience: scope.repository,
      subject: subjectOf(scope),
      currentDate: new Date(now),
      requiredClaims: ['exp'],
      keyManagementAlgorithms: [algorithms.alg],
      contentEncryptionAlgorithms: [algorithms.enc],
    })
    return payload
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw invalid('last is where one of our lists ended a day ago')
    return undefined
  }
}

/** The hash has the same length for every requester. */
const subjectOf = ({ requester }: CursorScope): string =>
  createHash('sha256').update(requester).digest('base64url')

const invalid = (message: string) => new RegistryError('TAG_INVALID', `${message}; list from the start`)
