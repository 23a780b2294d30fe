/**
 * Reads a descriptor, which an index has for each of its manifests. Fields of a peer that are not named here are dropped.
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

/** @returns undefined for a value without media type, digest and size. The pusher chose the annotations: only text is kept of them. */
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

/** `Object.fromEntries` defines `__proto__` as an ordinary key. An assignment would set the prototype. */
const readAnnotations = (annotations: object): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(annotations).filter(([, value]) => typeof value === 'string'))
