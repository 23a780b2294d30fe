/**
 * The file that stores facts and the state of the walk for a restart.
 *
 *     quay-proxy state 1\n   state of the walk (4 bytes of length, JSON)   facts (kind, length of field, of value, both) ...   SHA-256
 *
 * It is written under another name and renamed when it is safely on the disk, so there is always a complete file. The checksum at its end
 * covers everything before it: a broken file, or one of another version, is not used, because half of the restricted facts would count as
 * all of them.
 */
import { createHash } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import type { Fact } from '../digests/facts.ts'
import type { IndexState } from '../digests/restricted-index/index-state.ts'
import { decodeFact, encodeFact } from './fact-codec.ts'
import { parseIndexState, printIndexState } from './index-state-codec.ts'
import { inSlices } from './slices.ts'

const header = Buffer.from('quay-proxy state 1\n')
const sumBytes = 32
const chunkBytes = 65_536

export interface StoredState {
  readonly index: IndexState | undefined
  readonly facts: readonly Fact[]
}

/**
 * @param now milliseconds since the epoch
 * @throws {Error} if the file cannot be written; the previous file stays
 */
export const writeStateFile = async (
  path: string,
  { index, facts }: { readonly index: IndexState | undefined; readonly facts: Iterable<Fact> },
  now: number,
): Promise<void> => {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    const sum = createHash('sha256')
    for (const chunk of chunksOf(index, facts, now)) {
      sum.update(chunk)
      await file.write(chunk)
      await turn()
    }
    await file.write(sum.digest())
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

function* chunksOf(index: IndexState | undefined, facts: Iterable<Fact>, now: number): Generator<Buffer> {
  const state = Buffer.from(index === undefined ? '' : printIndexState(index))
  let parts = [header, sizeOf(state), state]
  let bytes = 0
  for (const fact of facts) {
    const record = encodeFact(fact, now)
    if (record === undefined) continue
    const { kind, field, value } = record
    parts.push(Buffer.from(kind), sizeOf(field), sizeOf(value), field, value)
    bytes += field.length + value.length
    if (bytes < chunkBytes) continue
    yield Buffer.concat(parts)
    parts = []
    bytes = 0
  }
  yield Buffer.concat(parts)
}

const sizeOf = (bytes: Buffer): Buffer => {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(bytes.length)
  return size
}

/**
 * @returns undefined if there is no file
 * @throws {Error} with the reason, if the file cannot be used
 */
export const readStateFile = async (path: string): Promise<StoredState | undefined> => {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new Error(`it cannot be read (${error.code})`, { cause: error })
  })
  if (bytes === undefined) return undefined
  const content = bytes.subarray(0, -sumBytes)
  if (!content.subarray(0, header.length).equals(header))
    throw new Error('it is of another program or version')
  if (!createHash('sha256').update(content).digest().equals(bytes.subarray(-sumBytes)))
    throw new Error('its checksum is wrong')
  const stateEnd = header.length + 4 + content.readUInt32BE(header.length)
  const facts: Fact[] = []
  await inSlices(
    recordsOf(content, stateEnd),
    ([kind, field, value]) => {
      const decoded = decodeFact(kind, field, value)
      if (decoded === undefined) throw new Error('it holds what is no fact')
      facts.push(decoded.fact)
    },
    () => undefined,
  )
  return { index: parseIndexState(content.toString('utf8', header.length + 4, stateEnd)), facts }
}

function* recordsOf(content: Buffer, start: number): Generator<readonly [string, Buffer, Buffer]> {
  for (let at = start; at < content.length;) {
    const kind = content.toString('latin1', at, at + 1)
    const field = at + 9
    const value = field + content.readUInt32BE(at + 1)
    const end = value + content.readUInt32BE(at + 5)
    yield [kind, content.subarray(field, value), content.subarray(value, end)]
    at = end
  }
}
