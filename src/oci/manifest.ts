/**
 * What a manifest or an index names: the one reading of its JSON, which access, sizes and refusals share.
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md, image-index.md and descriptor.md
 */
import { isDigest, type Digest } from './digest.ts'
import { withinBounds } from './json-bounds.ts'

export interface ManifestContent {
  /** Digests of manifests and indexes, each once. */
  readonly manifests: readonly Digest[]
  /** Digests of everything else (configs, layers, blobs of artifacts, fields of a format to come), each once. */
  readonly blobs: readonly Digest[]
  /** Bytes of blobs, as they are said; a blob that is said to have two sizes is here twice. */
  readonly sizes: readonly (readonly [Digest, number])[]
  /** What the manifest refers to. It points up: the subject is not in the manifest. */
  readonly subject: Digest | undefined
}

/**
 * `too-large`: more than `maxDescriptors`, or more structure than such a manifest needs. `not-json`: no JSON, or JSON in which an
 * object has the same name twice, which readers read differently.
 */
export type UnreadManifest = 'too-large' | 'not-json'

/** An index of a release payload has hundreds. Attack: 48,000 in one manifest took 150 ms of everybody's time per request. */
export const maxDescriptors = 2000
/** A descriptor's platform and its features are five levels down. */
export const maxManifestDepth = 32
/**
 * A descriptor has a handful of objects and lists of its own (platform, features, annotations, urls), and some ten fields in them.
 * Attack: 4 MiB of names in one object took 0.7 s.
 */
const maxContainers = 10 * maxDescriptors
const maxValues = 15 * maxDescriptors

const manifestTypes = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
])

/** By the Buffer, to which nobody writes again: content that is kept in memory is parsed once, however often it is served. */
const parsed = new WeakMap<Buffer, ManifestContent | UnreadManifest>()

/** @param content at most a few MiB; takes time in proportion to it */
export const parseManifest = (content: Buffer): ManifestContent | UnreadManifest => {
  const known = parsed.get(content)
  if (known !== undefined) return known
  const result = parse(content)
  parsed.set(content, result)
  return result
}

const parse = (content: Buffer): ManifestContent | UnreadManifest => {
  const read = readJson(content)
  if (typeof read === 'string') return read
  const found = new Found()
  found.add(read.value)
  const payload = payloadOf(read.value)
  if (payload !== undefined) {
    const signed = readJson(payload)
    if (signed === 'too-large') return signed
    if (signed !== 'not-json') found.add(signed.value)
  }
  return found.descriptors > maxDescriptors ? 'too-large' : found.content()
}

const readJson = (content: Buffer): { readonly value: unknown } | UnreadManifest => {
  // Attack: JSON.parse of two million nested arrays took a second. So their number and depth are counted before.
  const names = withinBounds(content, { maxDepth: maxManifestDepth, maxContainers, maxValues })
  if (names === undefined) return 'too-large'
  try {
    const value: unknown = JSON.parse(content.toString())
    // Attack: of two fields `layers` this parser sees the last one, and another parser the first one, or both.
    return namesIn(value) === names ? { value } : 'not-json'
  } catch {
    return 'not-json'
  }
}

/** What every manifest of an image has at its root. @param content that `parseManifest` has read */
export const hasSchemaVersion = (content: Buffer): boolean => {
  const value: unknown = JSON.parse(content.toString())
  return typeof value === 'object' && value !== null && 'schemaVersion' in value
}

/** Recursion is as deep as `maxManifestDepth`. */
const namesIn = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) return value.reduce<number>((names, item) => names + namesIn(item), 0)
  const values = Object.values(value)
  return values.reduce<number>((names, inner) => names + namesIn(inner), values.length)
}

/** A schema 1 manifest that is signed is served with its fields beside the signatures, or as the payload of a JSON Web Signature. */
const payloadOf = (value: unknown): Buffer | undefined => {
  const { payload } = (value ?? {}) as { readonly payload?: unknown }
  return typeof payload === 'string' ? Buffer.from(payload, 'base64url') : undefined
}

class Found {
  /** With repetitions. */
  descriptors = 0
  readonly #manifests = new Set<Digest>()
  readonly #blobs = new Set<Digest>()
  readonly #sizes = new Map<string, readonly [Digest, number]>()
  #subject: Digest | undefined

  add(root: unknown): void {
    this.#walk(root, '', true)
  }

  content(): ManifestContent {
    return {
      manifests: [...this.#manifests],
      blobs: [...this.#blobs],
      sizes: [...this.#sizes.values()],
      subject: this.#subject,
    }
  }

  /** @param field upper-case name under which the value stands, be it in a list */
  #walk(value: unknown, field: string, isRoot = false): void {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value as readonly unknown[]) this.#walk(item, field)
      return
    }
    const said = new Said()
    for (const [key, inner] of Object.entries(value)) {
      const name = said.hear(key, inner)
      if (isRoot && name === 'SUBJECT') this.#subject ??= digestIn(inner)
      else if (name !== 'ANNOTATIONS') this.#walk(inner, name)
    }
    if (!isRoot) for (const digest of said.digests) this.#describe(digest, said, field)
  }

  #describe(digest: Digest, { type, size }: Said, field: string): void {
    this.descriptors += 1
    if (field === 'MANIFESTS' || manifestTypes.has(type)) {
      this.#manifests.add(digest)
      return
    }
    this.#blobs.add(digest)
    if (size !== undefined) this.#sizes.set(`${digest} ${size}`, [digest, size])
  }
}

/** What an object says of the content that it describes. */
class Said {
  readonly digests: Digest[] = []
  type = ''
  size: number | undefined

  /**
   * Attack: readers written in Go take `Layers` and `DIGEST` for `layers` and `digest`, and the long s of Unicode for an s.
   * @returns the name as such a reader compares it
   */
  hear(key: string, value: unknown): string {
    const name = key.toUpperCase()
    if (typeof value === 'string') {
      // Schema 1 calls the digest of a layer blobSum.
      if ((name === 'DIGEST' || name === 'BLOBSUM') && isDigest(value)) this.digests.push(value)
      if (name === 'MEDIATYPE') this.type = value.toLowerCase()
    } else if (name === 'SIZE' && Number.isSafeInteger(value) && (value as number) > 0)
      this.size = value as number
    return name
  }
}

const digestIn = (value: unknown): Digest | undefined => {
  const said = new Said()
  if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) said.hear(key, inner)
  return said.digests[0]
}
