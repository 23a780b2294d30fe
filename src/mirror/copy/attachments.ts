/**
 * The attachments of an image: signatures, attestations and SBOMs, as referrers and under the tags of cosign. They are copied before the
 * image gets its tag, so that a policy that requires a signature finds it.
 * @see https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryFailure } from '../registry/failure.ts'
import {
  fallbackTagOf,
  maxReferrers,
  readReferrers,
  subjectOf,
  withReferrers,
} from '../registry/referrers.ts'
import type { Manifest, Repository } from '../registry/repository.ts'
import { readSourceImage, type SourceManifest } from './source-image.ts'

export interface AttachmentSteps {
  /** Copies blobs and manifests, each under its digest. */
  readonly copyContent: (manifests: readonly SourceManifest[]) => Promise<void>
  /**
   * Gives a manifest a tag. The manifest that had the tag before is kept.
   * @param expected what the tag had when the manifest was made. If given, a tag with another manifest is not changed
   */
  readonly setTag: (tag: string, manifest: Manifest, expected?: ExpectedFloat) => Promise<void>
}

/** What a float had when the copy was decided; undefined for nothing. */
export interface ExpectedFloat {
  readonly digest: Digest | undefined
}

export interface Sides {
  readonly source: Repository
  readonly target: Repository
}

export const cosignSuffixes = ['sig', 'att', 'sbom'] as const

export interface CopiedAttachments {
  readonly count: number
  /** Digests of those of the image itself. */
  readonly ofImage: readonly Digest[]
}

/**
 * @param digests of all parts of the image, and of the image itself, which is the last one
 * @throws {RegistryFailure} @throws {PermitLost}
 */
export const copyAttachments = async (
  sides: Sides,
  digests: readonly Digest[],
  steps: AttachmentSteps,
): Promise<CopiedAttachments> => new AttachmentCopy(sides, steps).copy(digests)

class AttachmentCopy {
  readonly #sides: Sides
  readonly #steps: AttachmentSteps
  /** Attack: referrers that refer to each other. */
  readonly #seen = new Set<Digest>()
  #count = 0

  constructor(sides: Sides, steps: AttachmentSteps) {
    this.#sides = sides
    this.#steps = steps
  }

  async copy(digests: readonly Digest[]): Promise<CopiedAttachments> {
    let ofImage: readonly Digest[] = []
    for (const digest of digests) ofImage = await this.#copyOf(digest)
    return { count: this.#count, ofImage }
  }

  /** @returns the digests of what was attached to this digest */
  async #copyOf(digest: Digest): Promise<readonly Digest[]> {
    if (this.#seen.has(digest)) return []
    this.#seen.add(digest)
    const referrers = await readReferrers(this.#sides.source, digest)
    for (const referrer of referrers) await this.#copyReferrer(digest, referrer)
    if (referrers.length > 0) await this.#list(digest, referrers)
    const attached = referrers.map((referrer) => referrer.digest)
    const tag = fallbackTagOf(digest)
    if (tag === undefined) return attached
    for (const suffix of cosignSuffixes) attached.push(...(await this.#copyTag(`${tag}.${suffix}`)))
    return attached
  }

  async #copyReferrer(digest: Digest, referrer: Descriptor): Promise<void> {
    const manifests = await this.#read(referrer.digest)
    const manifest = manifests.at(-1) as SourceManifest
    const { source } = this.#sides
    if (subjectOf(manifest) !== digest)
      throw new RegistryFailure(
        'broken',
        `${source.label} names ${referrer.digest} as a referrer of ${digest}, to which it does not refer`,
      )
    await this.#steps.copyContent(manifests)
    // A signature of an SBOM.
    await this.#copyOf(referrer.digest)
  }

  /** A registry without the referrers API needs the tag of the referrers tag schema. */
  async #list(digest: Digest, referrers: readonly Descriptor[]): Promise<void> {
    const { target } = this.#sides
    const listed = new Set((await readReferrers(target, digest)).map((referrer) => referrer.digest))
    const missing = referrers.filter((referrer) => !listed.has(referrer.digest))
    const tag = fallbackTagOf(digest)
    if (tag === undefined || missing.length === 0) return
    const current = await target.manifest(tag)
    const list = withReferrers(current, missing, target, digest)
    // Attack: a 404 of a load balancer would replace the list by one without the former referrers.
    await this.#steps.setTag(tag, list, { digest: current?.digest })
  }

  async #copyTag(tag: string): Promise<readonly Digest[]> {
    const digest = await this.#sides.source.resolve(tag)
    if (digest === undefined) return []
    const manifests = await this.#read(digest)
    await this.#steps.copyContent(manifests)
    await this.#steps.setTag(tag, manifests.at(-1) as SourceManifest)
    return [digest]
  }

  async #read(digest: Digest): Promise<readonly SourceManifest[]> {
    const { source } = this.#sides
    this.#count += 1
    if (this.#count > maxReferrers)
      throw new RegistryFailure(
        'refused',
        `${source.label} has more than ${maxReferrers} attachments of one image`,
      )
    return await readSourceImage(source, digest)
  }
}
