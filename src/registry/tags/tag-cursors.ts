/**
 * Where a tag list goes on, when the last tag that was looked at is one that the requester may not see: sealed, so that the Link
 * tells neither its name nor its length. Any replica with the same token secret opens it, for the same list and the same requester.
 */
import { createHash } from 'node:crypto'
import { EncryptJWT, errors, jwtDecrypt, type JWTPayload } from 'jose'
import { RegistryError } from '../../oci/errors.ts'

/**
 * What a cursor is good for. Attack: a cursor of one list, opened on another, is put behind another prefix; what comes after it
 * there compares a hidden name with names of one's own choosing, letter by letter.
 */
export interface CursorScope {
  /** The path of the list's repository. */
  readonly repository: string
  readonly requester: string
}

export interface TagPosition {
  /** The tag that was looked at last, without the prefix of the list; empty for the beginning. */
  readonly after: string
  /** How many pages without any tag led up to here. */
  readonly emptyPages: number
}

export interface TagCursors {
  /** A value for `last` that reads as no tag. */
  readonly seal: (position: TagPosition, scope: CursorScope) => Promise<string>
  /** The position behind a value of `last`, whether plain or sealed. @throws {RegistryError} TAG_INVALID */
  readonly open: (last: string, scope: CursorScope) => Promise<TagPosition>
}

/** No tag begins with it. */
const mark = '~'
/** The characters of a tag; a joined tag twice over, since registries differ on what they allow here. */
const plainPattern = /^[a-zA-Z0-9_.-]{1,256}$/
/** Characters: the longest tag there is. Every cursor has the length of one for that. */
const paddedTo = 128
/** Seconds. Nobody reads a list for longer; what is older has nothing to say about today's tags. */
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

/** Undefined for what this key has not sealed, or has sealed for another list or requester. */
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

/** Of one length, whoever it is. */
const subjectOf = ({ requester }: CursorScope): string =>
  createHash('sha256').update(requester).digest('base64url')

const invalid = (message: string) => new RegistryError('TAG_INVALID', `${message}; list from the start`)
