/**
 * What the repository must have before a manifest can be pushed: its blobs, or the manifests of the index.
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md
 */
import { readDescriptor, type Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseAnswer } from '../../oci/json-bounds.ts'
import { RegistryFailure, UnsuitableManifest } from '../registry/failure.ts'
import type { Manifest } from '../registry/repository.ts'

export interface ManifestContent {
  readonly mediaType: string
  readonly children: readonly Digest[]
  /** Each digest once. Foreign layers are left out, because no registry has to have them. */
  readonly blobs: readonly Pick<Descriptor, 'digest' | 'size'>[]
  /** The media type of a layer of schema 2 that is not compressed with gzip. */
  readonly oddLayer?: string
}

const indexTypes = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
])
const schema2 = 'application/vnd.docker.distribution.manifest.v2+json'
const imageTypes = new Set(['application/vnd.oci.image.manifest.v1+json', schema2])
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/

/** @param label of the repository. @throws {RegistryFailure} if it cannot be copied with its digest */
export const readManifestContent = (manifest: Manifest, label: string): ManifestContent => {
  const { digest } = manifest
  const json = jsonOf(manifest, label)
  const mediaType = typeof json['mediaType'] === 'string' ? json['mediaType'] : manifest.mediaType
  if (schema1.test(mediaType) || json['schemaVersion'] === 1)
    throw new UnsuitableManifest(
      'manifest v1',
      `${label} has ${digest} as schema 1, whose digest no copy keeps: build the image again`,
    )
  if (indexTypes.has(mediaType)) {
    const children = listOf(json['manifests']).map((child) => descriptorOf(child, digest, label).digest)
    return { mediaType, children: [...new Set(children)], blobs: [] }
  }
  if (!imageTypes.has(mediaType))
    throw refused(`${label} has ${digest} as ${JSON.stringify(mediaType)}, which is not copied`)
  const layers = listOf(json['layers'])
  const needed = [json['config'], ...layers.filter((layer) => !isForeign(layer))]
  const blobs = needed.map((blob) => descriptorOf(blob, digest, label))
  const oddLayer =
    mediaType === schema2 ? layers.map(mediaTypeIn).find((type) => !type.endsWith('.gzip')) : undefined
  return {
    mediaType,
    children: [],
    blobs: [...new Map(blobs.map((blob) => [blob.digest, blob])).values()],
    ...(oddLayer === undefined ? {} : { oddLayer }),
  }
}

/** Quay refuses some of these. @throws {UnsuitableManifest} */
export const requireGzipLayers = (
  { digest }: Pick<Manifest, 'digest'>,
  { oddLayer }: ManifestContent,
  label: string,
): void => {
  if (oddLayer !== undefined)
    throw new UnsuitableManifest(
      'invalid manifest v2',
      `${label} has ${digest} as schema 2 with a layer of the type ${JSON.stringify(oddLayer)}, which is not gzip`,
    )
}

type Json = Readonly<Record<string, unknown>>

const jsonOf = ({ bytes, digest }: Manifest, label: string): Json => {
  try {
    const value = parseAnswer(bytes)
    if (typeof value === 'object' && value !== null) return value as Json
  } catch {
    // Both get the same sentence.
  }
  throw refused(`${label} has ${digest} as something that is not a manifest`)
}

const descriptorOf = (value: unknown, digest: Digest, label: string): Descriptor => {
  const descriptor = readDescriptor(value)
  if (descriptor === undefined) throw refused(`${label} has a descriptor in ${digest} that is malformed`)
  return descriptor
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

const mediaTypeIn = (layer: unknown): string => String((layer as Json)['mediaType'])

/** Layers of Windows are downloaded from Microsoft's own servers. */
const isForeign = (layer: unknown): boolean => {
  const { mediaType, urls } = (layer ?? {}) as Json
  return (
    typeof mediaType === 'string' &&
    /\.foreign\.|\.nondistributable\./.test(mediaType) &&
    Array.isArray(urls) &&
    urls.length > 0
  )
}

const refused = (message: string): RegistryFailure => new RegistryFailure('refused', message)
