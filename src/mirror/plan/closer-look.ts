/**
 * Checks a finding further: applies the rules that keep an image of the watch out of QCI, and looks for attachments that were pushed after
 * their image.
 */
import type { Digest } from '../../oci/digest.ts'
import { AttachmentLooks } from '../copy/attachment-looks.ts'
import type { ComparedImage } from '../copy/compare.ts'
import { UnsuitableManifest } from '../registry/failure.ts'
import type { DesiredImage } from './desired.ts'
import { judgeDistributed } from './distributed-findings.ts'
import type { Finding } from './findings.ts'

export class CloserLook {
  readonly #hasAttachments: (target: string) => boolean
  /** Digests that are left out because of the manifests that a copy has read, by target. */
  readonly #unsuitable = new Map<string, Unsuitable>()
  readonly #attachments = new AttachmentLooks()

  /** @param hasAttachments whether a target is copied with its attachments */
  constructor(hasAttachments: (target: string) => boolean) {
    this.#hasAttachments = hasAttachments
  }

  /** @param common the digest that QCI last had in common with app.ci, if it is known. @throws {RegistryFailure} */
  readonly judge = async (finding: Finding, sides: ComparedImage, common?: Digest): Promise<Finding> => {
    const { image, state } = finding
    if (state === 'different')
      return this.#unsuited(finding) ?? (await judgeDistributed(finding, sides, common))
    if (state !== 'same' || !this.#hasAttachments(image.target)) return finding
    const hasNewAttachments = await this.#attachments.hasNew(image.target, sides.source, finding.digest)
    return hasNewAttachments ? { ...finding, hasNewAttachments } : finding
  }

  copied(target: string, image: Digest, attachments: readonly Digest[] | undefined): void {
    if (attachments !== undefined) this.#attachments.copied(target, image, attachments)
  }

  /**
   * Call this after a failed copy.
   * @returns the reason why the image is left out from now on. Undefined for any other failure, and for images that the configuration
   * names, because a person has to know about their failures
   */
  leaveOut(image: DesiredImage, digest: Digest, error: unknown): UnsuitableManifest | undefined {
    if (!(error instanceof UnsuitableManifest) || image.distributed === undefined) return undefined
    this.#unsuitable.set(image.target, { digest, reason: error.message })
    return error
  }

  /** Forgets all other targets. */
  retain(isDesired: (target: string) => boolean): void {
    for (const target of this.#unsuitable.keys()) if (!isDesired(target)) this.#unsuitable.delete(target)
    this.#attachments.retain(isDesired)
  }

  #unsuited({ image, ...finding }: Finding): Finding | undefined {
    const known = this.#unsuitable.get(image.target)
    return finding.state === 'different' && known?.digest === finding.digest
      ? { image, state: 'left out', reason: known.reason }
      : undefined
  }
}

interface Unsuitable {
  readonly digest: Digest
  /** A sentence without its full stop. */
  readonly reason: string
}
