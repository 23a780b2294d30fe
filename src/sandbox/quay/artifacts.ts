/** Content of registries that is no image: signatures, SBOMs, attestations. */
import { byDigest, describe, encode, mediaTypes, toManifest } from './descriptors.ts'
import type { Content, Manifest } from './descriptors.ts'
import { digestOf } from './layers.ts'

export interface ArtifactOptions {
  /** The image it belongs to, or one platform's manifest. */
  readonly subject: Manifest
  readonly artifactType: string
  readonly payload: Buffer
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * Something that belongs to an image, an SBOM say: a manifest whose `subject` is the image, found through referrers.
 * Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
 */
export const buildArtifact = (options: ArtifactOptions): Content => {
  const { subject, artifactType, payload, annotations = {} } = options
  const empty = Buffer.from('{}')
  const manifest = toManifest(mediaTypes.oci.manifest, {
    artifactType,
    config: describe('application/vnd.oci.empty.v1+json', empty),
    layers: [describe(artifactType, payload)],
    subject: describe(subject.mediaType, subject.body),
    annotations,
  })
  return { ...manifest, manifests: [manifest], blobs: byDigest([empty, payload]) }
}

export interface BlobsArtifactOptions {
  readonly artifactType: string
  readonly blobs: readonly Buffer[]
}

/**
 * A manifest with `blobs` where others have `config` and `layers`. A reader that knows only those two does not see the blobs.
 * Source: https://github.com/opencontainers/image-spec/blob/v1.1.0-rc2/artifact.md, which registries still hold
 */
export const buildBlobsArtifact = ({ artifactType, blobs }: BlobsArtifactOptions): Content => {
  const mediaType = 'application/vnd.oci.artifact.manifest.v1+json'
  const described = blobs.map((blob) => describe('application/octet-stream', blob))
  const body = encode({ mediaType, artifactType, blobs: described })
  const manifest = { digest: digestOf(body), mediaType, body }
  return { ...manifest, manifests: [manifest], blobs: byDigest(blobs) }
}

export interface TinyImageOptions {
  /** Seeds the content: the same options give the same digests. */
  readonly name: string
  /** Blobs below its own one, bottom first. */
  readonly base?: readonly Buffer[]
}

/**
 * An image of a kilobyte, built at once: for proxies, which look into no layer. Its layers are no tars, so no client can unpack it.
 */
export const buildTinyImage = ({ name, base = [] }: TinyImageOptions): Content => {
  const layers = [...base, Buffer.from(`layer of ${name}`)]
  const config = encode({
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { 'io.openshift.build.name': name } },
    rootfs: { type: 'layers', diff_ids: [] },
  })
  const manifest = toManifest(mediaTypes.oci.manifest, {
    config: describe(mediaTypes.oci.config, config),
    layers: layers.map((layer) => describe('application/vnd.oci.image.layer.v1.tar', layer)),
  })
  return { ...manifest, manifests: [manifest], blobs: byDigest([config, ...layers]) }
}
