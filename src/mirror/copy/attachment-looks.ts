/**
 * Finds attachments that are pushed after their image. For each image with attachments, it checks the source with two requests: the
 * referrers, and one of the tags of cosign in turn.
 */
import type { Digest } from '../../oci/digest.ts'
import { fallbackTagOf, readReferrers } from '../registry/referrers.ts'
import type { Repository } from '../registry/repository.ts'
import { cosignSuffixes } from './attachments.ts'

interface Copied {
  readonly image: Digest
  readonly attachments: ReadonlySet<Digest>
}

export class AttachmentLooks {
  /**
   * The known attachments, by target. After a restart there are none, so each attachment counts as new once, and its copy finds it in the
   * target.
   */
  readonly #copied = new Map<string, Copied>()
  readonly #rounds = new Map<string, number>()

  /** Checks the image itself, not its parts. @throws {RegistryFailure} */
  async hasNew(target: string, source: Repository, image: Digest): Promise<boolean> {
    const found = (await readReferrers(source, image)).map(({ digest }) => digest)
    const round = this.#rounds.get(target) ?? 0
    this.#rounds.set(target, (round + 1) % cosignSuffixes.length)
    const tag = fallbackTagOf(image)
    const tagged = tag === undefined ? undefined : await source.resolve(`${tag}.${cosignSuffixes[round]}`)
    if (tagged !== undefined) found.push(tagged)
    const copied = this.#copied.get(target)
    const known = copied?.image === image ? copied.attachments : undefined
    return found.some((digest) => known?.has(digest) !== true)
  }

  copied(target: string, image: Digest, attachments: readonly Digest[]): void {
    this.#copied.set(target, { image, attachments: new Set(attachments) })
  }

  /** Forgets all other targets. */
  retain(isDesired: (target: string) => boolean): void {
    for (const map of [this.#copied, this.#rounds])
      for (const target of map.keys()) if (!isDesired(target)) map.delete(target)
  }
}
