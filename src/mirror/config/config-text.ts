/**
 * Reads the configuration file as text. A file that contains no text is a problem with a position, like every other mistake in the file.
 */
import { isUtf8 } from 'node:buffer'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { Position, Problem } from './problem.ts'

/** Bytes, unpacked. Today's file has 53 kB. Attack: a file of gigabytes, or a small gzip file that unpacks to them. */
export const maxConfigBytes = 1024 * 1024

/** The file exists, but does not contain text. */
export class ConfigTextError extends Error {
  override readonly name = 'ConfigTextError'
  readonly problem: Problem

  constructor(message: string, cure: string, position: Position = { line: 1, column: 1 }) {
    super(`${message}; ${cure}`)
    this.problem = { severity: 'error', position, subject: 'file', message, cure }
  }
}

/** @throws {ConfigTextError} @throws {Error} if the file does not exist or may not be read */
export const readConfigText = (path: string): string => decodeConfig(readBounded(path))

/** @throws {ConfigTextError} */
export const decodeConfig = (content: Buffer): string => {
  const bytes = isGzip(content) ? unpacked(content) : content
  if (bytes.length > maxConfigBytes) throw tooLarge()
  if (!isUtf8(bytes))
    throw new ConfigTextError(
      'the file is not text in UTF-8',
      'save it as UTF-8, or remove the characters from here on',
      firstInvalid(bytes),
    )
  // A byte order mark does not belong to the first key.
  return bytes.toString().replace(/^\uFEFF/, '')
}

const isGzip = (content: Buffer): boolean => content[0] === 0x1f && content[1] === 0x8b

const unpacked = (content: Buffer): Buffer => {
  try {
    return gunzipSync(content, { maxOutputLength: maxConfigBytes })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    throw new ConfigTextError(
      `the file begins as gzip, and cannot be unpacked: ${(error as Error).message}`,
      'pack it again, or write it as plain text',
    )
  }
}

const tooLarge = (): ConfigTextError =>
  new ConfigTextError(
    `the file has more than ${maxConfigBytes} bytes`,
    'check that it is the right file, and remove what is not needed',
  )

const readBounded = (path: string): Buffer => {
  const file = openSync(path, 'r')
  try {
    if (fstatSync(file).isDirectory())
      throw new ConfigTextError('the path is a directory', 'name the file, such as _config.yaml')
    const bytes = Buffer.alloc(maxConfigBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null)
    return bytes.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

/** The bytes of a character are always in the same line. */
const firstInvalid = (bytes: Buffer): Position => {
  const lines = bytes.toString('latin1').split('\n')
  const line = lines.findIndex((text) => !isUtf8(Buffer.from(text, 'latin1')))
  const text = new TextDecoder().decode(Buffer.from(lines[line] as string, 'latin1'))
  return { line: line + 1, column: text.indexOf('\uFFFD') + 1 }
}
