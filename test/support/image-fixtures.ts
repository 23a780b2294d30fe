/** Images for registries of tests. */
import type { Digest } from '../../src/oci/digest.ts'
import { digestOf, type StoredRepository } from './pushable-registry.ts'

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
export const ociIndex = 'application/vnd.oci.image.index.v1+json'

interface FakeDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const putBlob = ({ blobs }: StoredRepository, text: string, mediaType: string): FakeDescriptor => {
  const bytes = Buffer.from(text)
  blobs.set(digestOf(bytes), bytes)
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

export const putContent = (
  { manifests }: StoredRepository,
  content: object,
  mediaType: string,
): FakeDescriptor & { readonly digest: Digest } => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content }))
  const digest = digestOf(bytes) as Digest
  manifests.set(digest, { mediaType, bytes })
  return { mediaType, digest, size: bytes.length }
}

/** An image of a config and two layers, which differ by name. @returns its descriptor */
export const putImage = (repository: StoredRepository, name: string, layerBytes = 20) =>
  putContent(
    repository,
    {
      config: putBlob(repository, `{"name":"${name}"}`, 'application/vnd.oci.image.config.v1+json'),
      layers: [
        putBlob(repository, 'a layer that all images share', 'application/vnd.oci.image.layer.v1.tar+gzip'),
        putBlob(repository, `${name} `.repeat(layerBytes), 'application/vnd.oci.image.layer.v1.tar+gzip'),
      ],
    },
    ociManifest,
  )

/** An index of two images. */
export const putIndex = (repository: StoredRepository, name: string) =>
  putContent(
    repository,
    {
      manifests: ['amd64', 'arm64'].map((architecture) => ({
        ...putImage(repository, `${name}-${architecture}`),
        platform: { architecture, os: 'linux' },
      })),
    },
    ociIndex,
  )

export const tag = (repository: StoredRepository, name: string, { digest }: { readonly digest: string }) => {
  repository.tags.set(name, digest)
}
