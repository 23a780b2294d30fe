/**
 * Every family of tags that the writers of QCI use, for an open and for a restricted namespace, in addition to the live tags that people
 * pull: copies of prune jobs, tags of ci-images-mirror and ART, release payloads, and attachments of images.
 */
import { buildArtifact, buildBlobsArtifact, buildTinyImage } from './artifacts.ts'
import type { Content } from './descriptors.ts'
import { buildImage } from './images.ts'
import type { Image } from './images.ts'
import type { Digest } from './layers.ts'
import type { Quay } from './quay.ts'

/** A namespace, nobody (QCI-wide access), or the people who may pull the digest in the tag's name. */
type Owner =
  | { readonly owner: 'namespace'; readonly namespace: string }
  | { readonly owner: 'nobody' }
  | { readonly owner: 'digest'; readonly of: Digest }

/** A tag and its owner. */
export type FamilyTag = { readonly tag: string; readonly digest: Digest } & Owner

export interface Families {
  readonly tags: readonly FamilyTag[]
  /** The layer that open and restricted images share. */
  readonly sharedLayer: Digest
  /** An artifact in the restricted namespace whose subject is the open image. */
  readonly restrictedReferrer: Digest
  /** A blob that only the `blobs` of an artifact manifest of the restricted namespace name. */
  readonly restrictedBlob: Digest
}

export const familyNamespaces = { open: 'ocp', restricted: 'ocp-priv' } as const

const sample = async (name: string, base?: Image): Promise<Image> =>
  await buildImage({
    name,
    platforms: ['linux/amd64'],
    layers: 1,
    layerBytes: 2048,
    format: 'oci',
    ...(base === undefined ? {} : { sharedLayers: base.layers }),
  })

/** Adds them to the existing content. */
export const stockFamilies = async (quay: Quay): Promise<Families> => {
  const base = await sample('the base of all')
  const { open, restricted } = familyNamespaces
  const openImage = await sample(`${open}/4.20:base`, base)
  const tags = [
    ...(await stockNamespace(quay, open, openImage, base)),
    ...(await stockNamespace(quay, restricted, await sample(`${restricted}/4.20:base`, base), base)),
  ]
  const referrer = buildArtifact({
    subject: openImage,
    artifactType: 'application/spdx+json',
    payload: Buffer.from('what is wrong with the open image, under embargo'),
  })
  const blob = Buffer.from('a blob that is neither a config nor a layer')
  const withBlobs = buildBlobsArtifact({ artifactType: 'application/x-advisory', blobs: [blob] })
  const put = (name: string, content: Content): FamilyTag => {
    const tag = `${restricted}_${name}`
    quay.tag(tag, content)
    return { tag, digest: content.digest, owner: 'namespace', namespace: restricted }
  }
  const artifacts = [put('sbom_of-open', referrer), put('advisory_latest', withBlobs)]
  const [layer] = base.layers.get('linux/amd64')!
  return {
    tags: [...tags, ...artifacts],
    sharedLayer: layer!.digest,
    restrictedReferrer: referrer.digest,
    restrictedBlob: [...withBlobs.blobs.keys()][0]!,
  }
}

const stockNamespace = async (
  quay: Quay,
  namespace: string,
  live: Image,
  base: Image,
): Promise<readonly FamilyTag[]> => {
  const name = `${namespace}_4.20_base`
  const hex = live.digest.slice('sha256:'.length)
  const tags: FamilyTag[] = []
  const put = (owner: Owner, tag: string, content: Content) => {
    quay.tag(tag, content)
    tags.push({ ...owner, tag, digest: content.digest })
  }
  const ofNamespace: Owner = { owner: 'namespace', namespace }
  const ofNobody: Owner = { owner: 'nobody' }
  const ofDigest: Owner = { owner: 'digest', of: live.digest }

  put(ofNamespace, name, live)
  for (const copy of copiesOf(name)) put(ofNamespace, copy, await sample(copy, base))
  for (const staged of ['_incoming', '__pre', '__post1']) put(ofNamespace, `${name}${staged}`, live)
  for (const tag of markersOf(namespace, hex)) put(ofNobody, tag, live)
  // An unknown family, as a future writer may use it, that names the namespace.
  put(ofNamespace, `tomorrow__${name}`, live)
  put(ofDigest, `20240101_sha256_${hex}`, live)
  for (const kind of ['sig', 'att', 'sbom'])
    put(ofDigest, `sha256-${hex}.${kind}`, buildTinyImage({ name: `${kind} of ${name}` }))
  return tags
}

/** Older images, under the tags that keep them alive. */
const copiesOf = (name: string): readonly string[] => [
  `20240101120000_prune_${name}`,
  `20240101120001_prune___ci_images_mirror__${name}`,
  `art__${name}`,
  `20240101120002_prune_art__${name}`,
]

/** The same image under tags that belong to nobody. */
const markersOf = (namespace: string, hex: string): readonly string[] => {
  const payload = `rc_payload__4.20.0-0.${namespace === familyNamespaces.open ? 'ci' : 'nightly'}-2026-11-01-000000`
  return [
    `art__${hex.slice(0, 16)}`,
    `art-builder-${hex.slice(0, 16)}`,
    payload,
    `${payload}__component__base`,
    `preserved__${payload}`,
    `remove__${payload}`,
  ]
}
