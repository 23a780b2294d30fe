/**
 * Parses a manifest or an index. Access, blob sizes and the verification share the result.
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md, image-index.md and descriptor.md
 */
import { isDigest, type Digest } from './digest.ts'
import { withinBounds } from './json-bounds.ts'

export interface ManifestContent {
  /** Digests of manifests and indexes, each once. */
  readonly manifests: readonly Digest[]
  /** Digests of everything else (configs, layers, blobs of artifacts, fields of future formats), each once. */
  readonly blobs: readonly Digest[]
  /** Sizes of blobs in bytes, as the manifest states them. A blob with two sizes is here twice. */
  readonly sizes: readonly (readonly [Digest, number])[]
  /** The manifest that this one refers to. The subject is not a part of this manifest. */
  readonly subject: Digest | undefined
}

/**
 * `too-large`: more than `maxDescriptors`, or more structure than such a manifest needs. `not-json`: not JSON, or JSON in which an object has
 * the same name twice, which parsers read differently.
 */
export type UnreadManifest = 'too-large' | 'not-json'

/** An index of a release payload has hundreds. Attack: 48,000 in one manifest blocked the process for 150 ms per request. */
export const maxDescriptors = 2000
/** The features of a descriptor's platform are five levels deep. */
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

/** By Buffer, because nothing writes to it again: cached content is parsed once, however often it is served. */
const parsed = new WeakMap<Buffer, ManifestContent | UnreadManifest>()

/** Takes time in proportion to the content. @param content a few MiB at most */
export const parseManifest = (content: Buffer): ManifestContent | UnreadManifest => {
  const cached = parsed.get(content)
  if (cached !== undefined) return cached
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
    // Clients may read a payload that this parser does not.
    if (signed === 'not-json') found.mention(mentionsIn(payload))
    else found.add(signed.value)
  }
  return found.descriptors > maxDescriptors ? 'too-large' : found.content()
}

const digestPattern = /sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})/g
const escapePattern = /\\u00([0-9a-f]{2})/gi

/**
 * Every digest in the text of a manifest, each once: a superset of what any client could read in it. For content that cannot be parsed, so
 * that it closes what it may name. It never opens anything. Takes time in proportion to the content.
 */
export const mentionsIn = (content: Buffer): readonly Digest[] => {
  const text = content
    .toString('latin1')
    .replaceAll(escapePattern, (_escape, hex: string) => String.fromCharCode(Number(`0x${hex}`)))
  return [...new Set(text.match(digestPattern))] as Digest[]
}

const readJson = (content: Buffer): { readonly value: unknown } | UnreadManifest => {
  // Attack: JSON.parse of two million nested arrays took a second. So their number and depth are counted first.
  const names = withinBounds(content, { maxDepth: maxManifestDepth, maxContainers, maxValues })
  if (names === undefined) return 'too-large'
  try {
    const value: unknown = JSON.parse(content.toString())
    // Attack: if there are two fields `layers`, this parser takes the last one, and other parsers take the first one, or both.
    return namesIn(value) === names ? { value } : 'not-json'
  } catch {
    return 'not-json'
  }
}

/** Every manifest of an image has this field at its root. @param content for which `parseManifest` found no error */
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

/** A signed schema 1 manifest has its fields next to the signatures, or as the payload of a JSON Web Signature. */
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

  mention(digests: readonly Digest[]): void {
    for (const digest of digests) this.#describe(digest, new DescriptorFields(), '')
  }

  content(): ManifestContent {
    return {
      manifests: [...this.#manifests],
      blobs: [...this.#blobs],
      sizes: [...this.#sizes.values()],
      subject: this.#subject,
    }
  }

  /** @param field upper-case name of the field whose value, or list item, this is */
  #walk(value: unknown, field: string, isRoot = false): void {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value as readonly unknown[]) this.#walk(item, field)
      return
    }
    const fields = new DescriptorFields()
    for (const [key, inner] of Object.entries(value)) {
      const name = fields.read(key, inner)
      if (isRoot && name === 'SUBJECT') this.#subject ??= digestIn(inner)
      else if (name !== 'ANNOTATIONS') this.#walk(inner, name)
    }
    if (!isRoot) for (const digest of fields.digests) this.#describe(digest, fields, field)
  }

  #describe(digest: Digest, { type, size }: DescriptorFields, field: string): void {
    this.descriptors += 1
    if (field === 'MANIFESTS' || manifestTypes.has(type)) {
      this.#manifests.add(digest)
      return
    }
    this.#blobs.add(digest)
    if (size !== undefined) this.#sizes.set(`${digest} ${size}`, [digest, size])
  }
}

/** The fields of an object that describe other content. */
class DescriptorFields {
  readonly digests: Digest[] = []
  type = ''
  size: number | undefined

  /**
   * Attack: parsers written in Go take `Layers` and `DIGEST` for `layers` and `digest`, and the long s of Unicode for an s.
   * @returns the name as such a parser compares it
   */
  read(key: string, value: unknown): string {
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
  const fields = new DescriptorFields()
  if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) fields.read(key, inner)
  return fields.digests[0]
}
