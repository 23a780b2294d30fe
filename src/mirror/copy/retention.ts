/**
 * Before an image is replaced, it gets a tag of its own. So the registry does not delete it, and jobs that have started with it can still
 * pull it by its digest.
 */
import { createBoundedCache, type BoundedCache } from '../../concurrency/bounded-cache.ts'
import type { Digest } from '../../oci/digest.ts'
import { pruneTagOf } from '../names/qci-names.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { Repository } from '../registry/repository.ts'

/** How many seconds are tried, if another image already has the tag of a second. */
const maxSeconds = 30
/**
 * Milliseconds for which a second try uses the prune tag of the first one. The pruner reads the time from the tag: the image of a tag of last
 * month would be deleted soon after it was replaced.
 */
const reusedMs = 3_600_000
/** Copies that wait for another try, at about 300 bytes each. */
const maxKept = 20_000

export class Retention {
  readonly #now: () => number
  /** The prune tag that a digest of a float has got, so that a second try of the copy does not create a second tag. */
  readonly #kept: BoundedCache<string, string>

  /** @param now milliseconds since the epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now
    this.#kept = createBoundedCache(maxKept, { ttlMs: reusedMs, now })
  }

  /**
   * Returns only after the registry has confirmed that the digest has the tag.
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

  /** Call this after the image was replaced: its prune tag is forgotten here. */
  done(target: Repository, float: string, old: Digest): void {
    this.#kept.delete(`${target.label} ${float} ${old}`)
  }

  /** Overwriting the prune tag of another image would lose that image. */
  async #freeTag(target: Repository, float: string, old: Digest): Promise<string> {
    for (let seconds = 0; seconds < maxSeconds; seconds++) {
      const tag = pruneTagOf(float, this.#now() + seconds * 1000)
      const holder = await target.resolveSurely(tag)
      if (holder === undefined || holder === old) return tag
    }
    throw new RegistryFailure('transient', `${target.label} has no free prune tag of ${float}`)
  }
}
