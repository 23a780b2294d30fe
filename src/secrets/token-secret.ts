/**
 * Reads the secrets that sign the proxy's own tokens from a file.
 */
import { createHash } from 'node:crypto'
import { hasInnerBlanks, linesOf } from './pasted-text.ts'
import { weaknessOf } from './secret-strength.ts'

const makeOne = 'make one with: openssl rand -hex 32'

/**
 * Each line has one secret. The first one signs.
 * @returns hashes of 32 bytes each, to derive keys from
 * @throws {Error} if the file is empty
 */
export const parseTokenSecret = ([content = '']: readonly string[]): readonly Uint8Array[] => {
  const secrets = linesOf(content)
  if (secrets.length === 0) throw new Error(`the token secret file is empty; ${makeOne}`)
  return secrets.map((secret) => createHash('sha256').update(secret).digest())
}

/** For --require-strong-secrets. @throws {Error} also if a secret could be guessed */
export const parseStrongTokenSecret = (contents: readonly string[]): readonly Uint8Array[] => {
  const keys = parseTokenSecret(contents)
  const weak = weaknessesOf(contents)
  if (weak.length > 0) throw new Error(`${weak.join('; ')}; --require-strong-secrets refuses that`)
  return keys
}

/** A sentence for each line that should be changed. None of them holds a part of the line. */
export const cautionsAboutTokenSecret = (contents: readonly string[]): readonly string[] => [
  ...weaknessesOf(contents),
  ...linesOf(contents[0] ?? '').flatMap((secret, index) =>
    hasInnerBlanks(secret)
      ? [
          `line ${index + 1} of the token secret has white space or control characters inside: check that it was pasted as a whole, and alone`,
        ]
      : [],
  ),
]

const weaknessesOf = ([content = '']: readonly string[]): readonly string[] =>
  linesOf(content).flatMap((secret, index) => {
    const weakness = weaknessOf(secret)
    return weakness === undefined
      ? []
      : [
          `line ${index + 1} of the token secret ${weakness}: it could be guessed from what it signs; ${makeOne}`,
        ]
  })
