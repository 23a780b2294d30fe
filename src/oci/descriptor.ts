/**
 * What an index says of each manifest in it, read from a peer: nothing of the peer passes but what is named here.
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md
 */
import { isDigest, type Digest } from './digest.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export const indexMediaType = 'application/vnd.oci.image.index.v1+json'

// RFC 6838 section 4.2, type "/" subtype.
const mediaTypePattern = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i

export const isMediaType = (value: unknown): value is string =>
  typeof value === 'string' && mediaTypePattern.test(value)

/** Undefined for what describes nothing that could be pulled here. Whoever pushed a manifest has chosen its annotations: they are kept as text. */
export const readDescriptor = (value: unknown): Descriptor | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const { mediaType, digest, size, artifactType, annotations } = value as Readonly<Record<string, unknown>>
  if (!isMediaType(mediaType) || typeof digest !== 'string' || !isDigest(digest)) return undefined
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined
  return {
    mediaType,
    digest,
    size,
    ...(isMediaType(artifactType) ? { artifactType } : {}),
    ...(isObject(annotations) ? { annotations: readAnnotations(annotations) } : {}),
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `Object.fromEntries` defines `__proto__` as it does any key: assigned, it would be the prototype. */
const readAnnotations = (annotations: object): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(annotations).filter(([, value]) => typeof value === 'string'))
