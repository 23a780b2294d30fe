import { buildLayer, builtAt, digestOf } from './layers.ts'
import type { Digest, Layer } from './layers.ts'

/** Source: https://github.com/opencontainers/image-spec and docs.docker.com "Image Manifest Version 2, Schema 2". */
const mediaTypes = {
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

export type ImageFormat = keyof typeof mediaTypes
export type Platform = `linux/${'amd64' | 'arm64' | 'ppc64le' | 's390x'}`
export const allPlatforms = ['linux/amd64', 'linux/arm64', 'linux/ppc64le', 'linux/s390x'] as const

export interface Manifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly body: Buffer
}

/** What a registry stores: a manifest to ask for, the manifests below it, and the blobs they name. */
export interface Content extends Manifest {
  /** The manifest itself first; where it is an index, then one manifest for each platform. */
  readonly manifests: readonly Manifest[]
  readonly blobs: ReadonlyMap<Digest, Buffer>
}

export interface Image extends Content {
  /** The manifest of each platform. */
  readonly platforms: ReadonlyMap<Platform, Digest>
  /** Bottom first: hand them to another `buildImage` as `sharedLayers`. */
  readonly layers: ReadonlyMap<Platform, readonly Layer[]>
}

export interface ImageOptions {
  /** Seeds the content: the same options give the same digests. */
  readonly name: string
  /** One platform gives a plain manifest, several an index. */
  readonly platforms: readonly Platform[]
  /** How many layers lie on top of the shared ones. */
  readonly layers: number
  readonly layerBytes: number
  readonly format: ImageFormat
  readonly sharedLayers?: ReadonlyMap<Platform, readonly Layer[]>
}

export interface ArtifactOptions {
  /** The image it belongs to, or one platform's manifest. */
  readonly subject: Manifest
  readonly artifactType: string
  readonly payload: Buffer
  readonly annotations?: Readonly<Record<string, string>>
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
}

function describe(mediaType: string, body: Buffer): Descriptor {
  return { mediaType, digest: digestOf(body), size: body.length }
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function toManifest(mediaType: string, rest: object): Manifest {
  const body = encode({ schemaVersion: 2, mediaType, ...rest })
  return { digest: digestOf(body), mediaType, body }
}

/** An image podman can pull and store; its layers hold noise, so it does not run. */
export async function buildImage(options: ImageOptions): Promise<Image> {
  const types = mediaTypes[options.format]
  const blobs = new Map<Digest, Buffer>()
  const layers = new Map<Platform, readonly Layer[]>()
  const manifests = new Map<Platform, Manifest>()
  for (const platform of options.platforms) {
    const stack = await buildLayers(options, platform)
    const config = encode(imageConfig(options.name, platform, stack))
    for (const layer of stack) blobs.set(layer.digest, layer.body)
    blobs.set(digestOf(config), config)
    layers.set(platform, stack)
    const document = {
      config: describe(types.config, config),
      layers: stack.map((layer) => describe(types.layer, layer.body)),
    }
    manifests.set(platform, toManifest(types.manifest, document))
  }
  const platforms = new Map([...manifests].map(([platform, { digest }]) => [platform, digest]))
  const children = [...manifests.values()]
  const top = children.length > 1 ? buildIndex(types.index, manifests) : children[0]
  if (top === undefined) throw new Error('an image needs at least one platform')
  return { ...top, manifests: [...new Set([top, ...children])], blobs, platforms, layers }
}

async function buildLayers(options: ImageOptions, platform: Platform): Promise<readonly Layer[]> {
  const own = Array.from({ length: options.layers }, (_, depth) =>
    buildLayer(`${options.name} ${platform} ${depth}`, options.layerBytes),
  )
  return [...(options.sharedLayers?.get(platform) ?? []), ...(await Promise.all(own))]
}

function imageConfig(name: string, platform: Platform, layers: readonly Layer[]): object {
  const created = builtAt.toISOString()
  const [os, architecture] = platform.split('/')
  return {
    created,
    architecture,
    os,
    config: { Env: ['PATH=/usr/bin'], Cmd: ['/bin/true'], Labels: { 'io.openshift.build.name': name } },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((_, depth) => ({
      created,
      created_by: `quay-proxy sandbox: ${name}, layer ${depth}`,
    })),
  }
}

function buildIndex(mediaType: string, manifests: ReadonlyMap<Platform, Manifest>): Manifest {
  const children = [...manifests].map(([platform, manifest]) => {
    const [os, architecture] = platform.split('/')
    return { ...describe(manifest.mediaType, manifest.body), platform: { os, architecture } }
  })
  return toManifest(mediaType, { manifests: children })
}

/**
 * Something that belongs to an image, an SBOM say: a manifest whose `subject` is the image, found through referrers.
 * Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
 */
export function buildArtifact(options: ArtifactOptions): Content {
  const { subject, artifactType, payload, annotations = {} } = options
  const empty = Buffer.from('{}')
  const manifest = toManifest(mediaTypes.oci.manifest, {
    artifactType,
    config: describe('application/vnd.oci.empty.v1+json', empty),
    layers: [describe(artifactType, payload)],
    subject: describe(subject.mediaType, subject.body),
    annotations,
  })
  const blobs = new Map([empty, payload].map((body) => [digestOf(body), body]))
  return { ...manifest, manifests: [manifest], blobs }
}
