/** The sample content of the sandbox: what QCI holds, in small. */
import { allPlatforms, buildArtifact, buildImage } from './images.ts'
import type { Image, ImageOptions } from './images.ts'
import type { Digest } from './layers.ts'
import type { Quay } from './quay.ts'

export interface StockedTag {
  readonly tag: string
  readonly digest: Digest
  readonly mediaType: string
  readonly platforms: readonly string[]
}

/** The result of `seedQuay`. */
export interface SeededImages {
  readonly tags: readonly StockedTag[]
  /** A tag that was there once: TAG_EXPIRED. */
  readonly expiredTag: string
  /** An SPDX document whose subject is `ocp_4.5_base`. */
  readonly sbom: Digest
  /** The layers that both `ocp_4.5_base` and `ocp-priv_4.5_embargoed` have, one for each platform. */
  readonly sharedLayers: readonly Digest[]
  /** The layers of `ocp_4.15_base`, which no restricted image has. */
  readonly openLayers: readonly Digest[]
}

const sbomType = 'application/spdx+json'

const sample = async (name: string, more: Partial<ImageOptions> = {}): Promise<Image> =>
  await buildImage({
    name,
    platforms: allPlatforms,
    layers: 2,
    layerBytes: 16 * 1024,
    format: 'oci',
    ...more,
  })

const buildSamples = async () => {
  const rootfs = await sample('ubi', { layers: 1, layerBytes: 64 * 1024 })
  const sharedLayers = rootfs.layers
  const base = await sample('ocp/4.5:base', { sharedLayers })
  const newer = await sample('ocp/4.15:base')
  const images = new Map([
    ['ocp_4.5_base', base],
    ['ocp_4.15_base', newer],
    ['ci_tools_latest', await sample('ci/tools:latest', { format: 'docker' })],
    ['my-team_app_latest', await sample('my-team/app:latest')],
    ['ocp-priv_4.5_embargoed', await sample('ocp-priv/4.5:embargoed', { sharedLayers })],
    ['20240603235401_prune_ocp_4.15_base', await sample('ocp/4.15:base before')],
    [`20231029_sha256_${base.digest.slice('sha256:'.length)}`, base],
    ['latest', await sample('latest', { platforms: ['linux/amd64'], format: 'docker' })],
  ])
  return { sharedLayers, base, newer, images, expired: await sample('ocp/4.4:base') }
}

/** Built once: tests start a hundred sandboxes in one process. */
let samples: ReturnType<typeof buildSamples> | undefined

/** The sample content of `quay-proxy sandbox`: each kind of tag that QCI holds, once. */
export const seedQuay = async (quay: Quay): Promise<SeededImages> => {
  const { sharedLayers, base, newer, images, expired } = await (samples ??= buildSamples())
  for (const [tag, image] of images) quay.tag(tag, image)

  const expiredTag = 'ocp_4.4_base'
  quay.tag(expiredTag, expired)
  quay.untag(expiredTag)

  const payload = Buffer.from(JSON.stringify({ spdxVersion: 'SPDX-2.3', name: 'ocp/4.5:base', packages: [] }))
  const sbom = buildArtifact({ subject: base, artifactType: sbomType, payload })
  quay.push(sbom)
  const tags = [...images].map(([tag, { digest, mediaType, platforms }]) => {
    return { tag, digest, mediaType, platforms: [...platforms.keys()] }
  })
  const shared = [...sharedLayers.values()].flat().map(({ digest }) => digest)
  const openLayers = [...newer.layers.values()].flat().map(({ digest }) => digest)
  return { tags, expiredTag, sbom: sbom.digest, sharedLayers: shared, openLayers }
}
