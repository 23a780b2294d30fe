/**
 * Encodes a fact for the store: as a field and a value of a hash, and a kind. A digest takes 33 bytes (its algorithm and the hash itself)
 * instead of 71.
 *
 *     t, T   field: digest, tag       value: seenAt (6 bytes)
 *     n, N   field: digest            value: stamp (6), number of manifests (2), of blobs (2), their digests
 *
 * Capital letters are for restricted facts. The content of the store is foreign data: anything of another form is dropped.
 */
import type { Fact } from '../digests/facts.ts'
import { isQciTag, type Digest } from '../oci/reference.ts'

export type RecordKind = 't' | 'T' | 'n' | 'N'

export interface FactRecord {
  readonly kind: RecordKind
  readonly field: Buffer
  readonly value: Buffer
  /** Milliseconds since the epoch: when a tag was seen, or when names were published. */
  readonly stamp: number
}

/** Bound on the children of a shared manifest: 135 KB. */
export const maxChildren = 4096

const algorithms = [
  { name: 'sha256', bytes: 32 },
  { name: 'sha512', bytes: 64 },
] as const

const encodeDigest = (digest: Digest): Buffer => {
  const code = algorithms.findIndex(({ name }) => digest.startsWith(name))
  return Buffer.concat([Buffer.of(code), Buffer.from(digest.slice(7), 'hex')])
}

const encodeStamp = (ms: number): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(ms, 0, 6)
  return bytes
}

/** @returns undefined for names with more than `maxChildren` */
export const encodeFact = (fact: Fact, now: number): FactRecord | undefined => {
  if (fact.kind === 'tag')
    return {
      kind: fact.isRestricted ? 'T' : 't',
      field: Buffer.concat([encodeDigest(fact.digest), Buffer.from(fact.tag)]),
      value: encodeStamp(fact.seenAt),
      stamp: fact.seenAt,
    }
  const { manifests, blobs } = fact
  if (manifests.length + blobs.length > maxChildren) return undefined
  const counts = Buffer.alloc(4)
  counts.writeUInt16BE(manifests.length, 0)
  counts.writeUInt16BE(blobs.length, 2)
  return {
    kind: fact.isRestricted ? 'N' : 'n',
    field: encodeDigest(fact.manifest),
    value: Buffer.concat([encodeStamp(now), counts, ...[...manifests, ...blobs].map(encodeDigest)]),
    stamp: now,
  }
}

export interface Decoded {
  readonly fact: Fact
  readonly stamp: number
}

/** @returns undefined for bytes that are no fact */
export const decodeFact = (kind: string, field: Buffer, value: Buffer): Decoded | undefined => {
  try {
    const isRestricted = kind === 'T' || kind === 'N'
    if (kind === 't' || kind === 'T') return decodeTag(field, value, isRestricted)
    return kind === 'n' || kind === 'N' ? decodeNames(field, value, isRestricted) : undefined
  } catch (error) {
    // The bytes are shorter than their counts say.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

const decodeTag = (field: Buffer, value: Buffer, isRestricted: boolean): Decoded | undefined => {
  const [digest, end] = digestAt(field, 0)
  const tag = field.toString('latin1', end)
  if (!isQciTag(tag) || value.length !== 6) return undefined
  const seenAt = value.readUIntBE(0, 6)
  return { fact: { kind: 'tag', tag, digest, seenAt, isRestricted }, stamp: seenAt }
}

const decodeNames = (field: Buffer, value: Buffer, isRestricted: boolean): Decoded | undefined => {
  const [manifest, end] = digestAt(field, 0)
  const [ofManifests, ofBlobs] = [value.readUInt16BE(6), value.readUInt16BE(8)]
  if (end !== field.length || ofManifests + ofBlobs > maxChildren) return undefined
  const children: Digest[] = []
  let at = 10
  for (let index = 0; index < ofManifests + ofBlobs; index += 1) {
    const [digest, next] = digestAt(value, at)
    children.push(digest)
    at = next
  }
  if (at !== value.length) return undefined
  const [manifests, blobs] = [children.slice(0, ofManifests), children.slice(ofManifests)]
  return { fact: { kind: 'names', manifest, manifests, blobs, isRestricted }, stamp: value.readUIntBE(0, 6) }
}

/** @throws {RangeError} if there is no digest */
const digestAt = (bytes: Buffer, at: number): readonly [Digest, number] => {
  const algorithm = algorithms[bytes.readUInt8(at)]
  const end = at + 1 + (algorithm?.bytes ?? Infinity)
  if (algorithm === undefined || end > bytes.length) throw new RangeError('no digest')
  // Any bytes of this length are a valid hash.
  return [`${algorithm.name}:${bytes.toString('hex', at + 1, end)}` as Digest, end]
}
