/**
 * The image that is about to be replaced gets a tag of its own first. Jobs that began with it go on to find it by its digest, and the
 * registry does not delete it.
 */
import type { Digest } from '../../oci/digest.ts'
import { pruneTagOf } from '../names/qci-names.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { Repository } from '../registry/repository.ts'

/** Seconds that are tried: in each of them another image has the tag already. */
const maxSeconds = 30

export class Retention {
  readonly #now: () => number
  /** The prune tag of a digest of a float: a second try of a copy needs no second tag. */
  readonly #kept = new Map<string, string>()

  /** @param now milliseconds since the epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /**
   * Returns only when the registry itself says that the digest has the tag.
   * @returns the prune tag
   * @throws {RegistryFailure} @throws {PermitLost}
   */
  async keep(target: Repository, float: string, old: Digest): Promise<string> {
    const key = `${target.label} ${float} ${old}`
    const kept = this.#kept.get(key)
    if (kept !== undefined && (await target.resolve(kept)) === old) return kept
    const manifest = await target.manifest(old)
    if (manifest === undefined)
      throw new RegistryFailure('transient', `${target.label} has no manifest ${old}, the image of ${float}`)
    const tag = await this.#freeTag(target, float, old)
    await target.putManifest(tag, manifest)
    if ((await target.resolve(tag)) !== old)
      throw new RegistryFailure('transient', `${target.label} does not show ${old} as ${tag}`)
    this.#kept.set(key, tag)
    return tag
  }

  /** The image was replaced: forgets its prune tag. */
  done(target: Repository, float: string, old: Digest): void {
    this.#kept.delete(`${target.label} ${float} ${old}`)
  }

  /** A prune tag that is another image's would lose that one. */
  async #freeTag(target: Repository, float: string, old: Digest): Promise<string> {
    for (let seconds = 0; seconds < maxSeconds; seconds++) {
      const tag = pruneTagOf(float, this.#now() + seconds * 1000)
      const holder = await target.resolveSurely(tag)
      if (holder === undefined || holder === old) return tag
    }
    throw new RegistryFailure('transient', `${target.label} has no free prune tag of ${float}`)
  }
}
