/** The one reading of a manifest's JSON. */
import { isDigest } from '../../../src/oci/digest.ts'
import { maxDescriptors, parseManifest } from '../../../src/oci/manifest.ts'
import type { Random } from '../random.ts'
import { must, type Target } from '../target.ts'

const types = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'APPLICATION/VND.OCI.IMAGE.INDEX.V1+JSON',
  '',
]
const keys = [
  'manifests',
  'layers',
  'config',
  'blobs',
  'subject',
  'annotations',
  'fsLayers',
  'data',
  'Layers',
  '__proto__',
  'constructor',
  'platform',
  '\u017fubject',
]

/** Under one of these names a digest is one; a reader written in Go takes any case. */
const digestKeys = ['digest', 'blobSum', 'Digest', 'BLOBSUM']

const descriptor = (random: Random): object => ({
  mediaType: random.pick(types),
  [random.pick(digestKeys)]: random.pick([random.digest(), random.digest(), 'sha256:x', 5, null]),
  size: random.pick([0, 1, 32_654, -1, 1.5, 2 ** 60, '7']),
})

const value = (random: Random, depth: number): unknown => {
  if (depth <= 0 || random.chance(0.3))
    return random.pick([descriptor(random), descriptor(random), null, 1, '', true, random.digest()])
  if (random.chance(0.4)) return Array.from({ length: random.below(5) }, () => value(random, depth - 1))
  const object: Record<string, unknown> = random.chance(0.5) ? { ...descriptor(random) } : {}
  for (const key of random.some(keys, random.below(5)))
    Object.defineProperty(object, key, {
      value: value(random, depth - 1),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  return object
}

const document = (random: Random): object => ({
  schemaVersion: 2,
  mediaType: random.pick(types),
  ...(value(random, 3 + random.below(4)) as object | null),
  [random.pick(['manifests', 'layers'])]: Array.from({ length: random.below(6) }, () => descriptor(random)),
})

/** What a reader that knows nothing of bounds finds; `annotations` are text, and the subject is not in the manifest. */
const digestsIn = (json: unknown, isRoot = true): string[] => {
  if (typeof json !== 'object' || json === null) return []
  if (Array.isArray(json)) return json.flatMap((item) => digestsIn(item, false))
  return Object.entries(json).flatMap(([key, inner]: [string, unknown]) => {
    const name = key.toUpperCase()
    if (name === 'ANNOTATIONS' || (isRoot && name === 'SUBJECT')) return []
    if (!isRoot && (name === 'DIGEST' || name === 'BLOBSUM') && typeof inner === 'string' && isDigest(inner))
      return [inner]
    return digestsIn(inner, false)
  })
}

const check = (content: Buffer): void => {
  const read = parseManifest(content)
  must(parseManifest(content) === read, 'it is read once')
  let json: unknown
  try {
    json = JSON.parse(content.toString())
  } catch {
    must(typeof read === 'string', 'what is no JSON is refused', content.toString())
    return
  }
  if (typeof read === 'string') return
  const all = new Set<string>([...read.manifests, ...read.blobs])
  must(read.manifests.length + read.blobs.length <= 2 * maxDescriptors, 'the bound on descriptors holds')
  // A list at the root is a list of objects in it, none of which is the root.
  const found = digestsIn(json, !Array.isArray(json))
  const missed = found.filter((digest) => !all.has(digest))
  must(missed.length === 0, 'what names a digest is found', { missed, content: content.toString() })
  for (const [digest, size] of read.sizes)
    must(all.has(digest) && Number.isSafeInteger(size) && size > 0, 'a size is one, of what is named', {
      digest,
      size,
    })
}

/** Two names alike in one object: readers take the first or the last of them. */
const doubled = (random: Random): void => {
  const [first, second] = [descriptor(random), descriptor(random)]
  const text = `{"schemaVersion":2,${random.pick([' ', '\n', ''])}"layers":[${JSON.stringify(first)}],"${random.pick(['layers', 'l\\u0061yers'])}":[${JSON.stringify(second)}]}`
  must(typeof parseManifest(Buffer.from(text)) === 'string', 'a name that comes twice is refused', text)
}

const many = (random: Random): void => {
  const count = random.pick([maxDescriptors - 1, maxDescriptors, maxDescriptors + 1, 5 * maxDescriptors])
  const layers = Array.from({ length: count }, () => ({ digest: random.digest() }))
  const read = parseManifest(Buffer.from(JSON.stringify({ layers })))
  must((read === 'too-large') === count > maxDescriptors, 'the bound is where it is said to be', count)
}

const deep = (random: Random): void => {
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const)
  const levels = random.pick([10, 31, 32, 33, 100_000])
  const text = `${open.repeat(levels)}1${close.repeat(levels)}`
  const began = performance.now()
  const read = parseManifest(Buffer.from(text))
  must(levels <= 32 || read === 'too-large', 'depth is bounded', levels)
  must(performance.now() - began < 500, 'and costs no time', performance.now() - began)
}

export const manifests: Target = {
  name: 'manifests',
  about: 'whatever JSON comes: no throw, bounds hold, and what names a digest is found',
  start: async () => ({
    run: (random) => {
      const content = Buffer.from(JSON.stringify(document(random), null, random.pick([0, 0, 1])))
      check(content)
      check(random.mutated(content))
      // A signed one of schema 1 has its fields in its payload.
      check(Buffer.from(JSON.stringify({ payload: content.toString('base64url'), signatures: [] })))
      doubled(random)
      if (random.chance(0.01)) many(random)
      if (random.chance(0.01)) deep(random)
    },
    close: async () => undefined,
  }),
}
