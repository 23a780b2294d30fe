/** Manifests, blobs, and the descriptors by which they name each other. */
import { digestOf } from './layers.ts'
import type { Digest } from './layers.ts'

/** Source: https://github.com/opencontainers/image-spec and docs.docker.com "Image Manifest Version 2, Schema 2". */
export const mediaTypes = {
  oci: {
    index: 'application/vnd.oci.image.index.v1+json',
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const

export interface Manifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly body: Buffer
}

/** A manifest, the manifests below it, and the blobs that they name. */
export interface Content extends Manifest {
  /** The manifest itself first; if it is an index, then one manifest for each platform. */
  readonly manifests: readonly Manifest[]
  readonly blobs: ReadonlyMap<Digest, Buffer>
}

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
}

export const describe = (mediaType: string, body: Buffer): Descriptor => ({
  mediaType,
  digest: digestOf(body),
  size: body.length,
})

export const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

export const toManifest = (mediaType: string, rest: object): Manifest => {
  const body = encode({ schemaVersion: 2, mediaType, ...rest })
  return { digest: digestOf(body), mediaType, body }
}

export const byDigest = (bodies: readonly Buffer[]): ReadonlyMap<Digest, Buffer> =>
  new Map(bodies.map((body) => [digestOf(body), body]))
