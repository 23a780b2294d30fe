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

export const putBlob = ({ blobs }: StoredRepository, text: string, mediaType: string): FakeDescriptor => {
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

/** An image whose configuration says when it was built. */
export const putImageOf = (repository: StoredRepository, created: string, name = created) =>
  putContent(
    repository,
    {
      config: putBlob(
        repository,
        JSON.stringify({ created, name }),
        'application/vnd.oci.image.config.v1+json',
      ),
      layers: [],
    },
    ociManifest,
  )

/** An image of schema 2 with a layer that is not compressed. */
export const putUncompressed = (repository: StoredRepository, name: string) =>
  putContent(
    repository,
    {
      config: putBlob(repository, name, 'application/vnd.docker.container.image.v1+json'),
      layers: [putBlob(repository, `${name} layer`, 'application/vnd.docker.image.rootfs.diff.tar')],
    },
    'application/vnd.docker.distribution.manifest.v2+json',
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
