/** Images as CI builds them: one manifest for each platform, and an index if there are several. */
import { describe, encode, mediaTypes, toManifest } from './descriptors.ts'
import type { Content, Manifest } from './descriptors.ts'
import { buildLayer, builtAt, digestOf } from './layers.ts'
import type { Digest, Layer } from './layers.ts'

export { buildArtifact } from './artifacts.ts'
export type { ArtifactOptions } from './artifacts.ts'
export type { Content, Manifest } from './descriptors.ts'

export type ImageFormat = keyof typeof mediaTypes
export type Platform = `linux/${'amd64' | 'arm64' | 'ppc64le' | 's390x'}`
export const allPlatforms = ['linux/amd64', 'linux/arm64', 'linux/ppc64le', 'linux/s390x'] as const

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

/** An image podman can pull and store; its layers hold noise, so it does not run. */
export const buildImage = async (options: ImageOptions): Promise<Image> => {
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

const buildLayers = async (options: ImageOptions, platform: Platform): Promise<readonly Layer[]> => {
  const own = Array.from({ length: options.layers }, (_, depth) =>
    buildLayer(`${options.name} ${platform} ${depth}`, options.layerBytes),
  )
  return [...(options.sharedLayers?.get(platform) ?? []), ...(await Promise.all(own))]
}

const imageConfig = (name: string, platform: Platform, layers: readonly Layer[]): object => {
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

const buildIndex = (mediaType: string, manifests: ReadonlyMap<Platform, Manifest>): Manifest => {
  const children = [...manifests].map(([platform, manifest]) => {
    const [os, architecture] = platform.split('/')
    return { ...describe(manifest.mediaType, manifest.body), platform: { os, architecture } }
  })
  return toManifest(mediaType, { manifests: children })
}
