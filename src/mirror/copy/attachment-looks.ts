/**
 * Attachments that come after their image: a look at the source of each image that asks for them. It costs two requests: the referrers, and
 * one of the tags of cosign, which take turns.
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
  /** By target. After a restart nothing is known, so each attachment is new once, and its copy finds it in place. */
  readonly #copied = new Map<string, Copied>()
  readonly #rounds = new Map<string, number>()

  /** Of the image itself, not of its parts. @throws {RegistryFailure} */
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

  /** Forgets all targets but those. */
  retain(isDesired: (target: string) => boolean): void {
    for (const map of [this.#copied, this.#rounds])
      for (const target of map.keys()) if (!isDesired(target)) map.delete(target)
  }
}
