/**
 * Copies blobs into the target: mounts them from another repository of the registry if possible, otherwise uploads them. However many
 * images have a digest, it is copied once at a time. A digest that has arrived is not requested again.
 */
import { createBoundedCache } from '../../concurrency/bounded-cache.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { readBlob } from '../registry/blob-source.ts'
import { hasBlob, mountBlob, uploadBlob } from '../registry/blob-target.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { Repository } from '../registry/repository.ts'

export type BlobOutcome = 'mounted' | 'present' | 'uploaded'

export interface BlobCopier {
  /** @throws {RegistryFailure} @throws {PermitLost} */
  readonly copy: (source: Repository, target: Repository, blob: CopiedBlob) => Promise<BlobOutcome>
  /** Call this when the target reports that it lacks one of these blobs. */
  readonly forget: (target: Repository, blobs: readonly CopiedBlob[]) => void
}

type CopiedBlob = Pick<Descriptor, 'digest' | 'size'>

export const createBlobCopier = (chunkBytes?: number): BlobCopier => new SingleFlightCopier(chunkBytes)

/** Milliseconds. Quay keeps a blob without a manifest for an hour. */
const arrivedMs = 600_000
/** The blobs of 10 minutes. Each takes about 200 bytes. */
const maxArrived = 20_000

const keyOf = (target: Repository, { digest }: Pick<CopiedBlob, 'digest'>): string =>
  `${target.label} ${digest}`

class SingleFlightCopier implements BlobCopier {
  readonly #chunkBytes: number | undefined
  readonly #copying = new Map<string, Promise<BlobOutcome>>()
  readonly #arrived = createBoundedCache<string, true>(maxArrived, { ttlMs: arrivedMs })

  constructor(chunkBytes: number | undefined) {
    this.#chunkBytes = chunkBytes
  }

  async copy(source: Repository, target: Repository, blob: CopiedBlob): Promise<BlobOutcome> {
    const key = keyOf(target, blob)
    if (this.#arrived.has(key)) return 'present'
    const other = this.#copying.get(key)
    if (other !== undefined) {
      // The source of the other caller has failed; the source of this one may work.
      const isThere = await other.then(
        () => true,
        () => false,
      )
      return isThere ? 'present' : await this.copy(source, target, blob)
    }
    const copying = this.#copy(source, target, blob).finally(() => this.#copying.delete(key))
    this.#copying.set(key, copying)
    const outcome = await copying
    this.#arrived.set(key, true)
    return outcome
  }

  forget(target: Repository, blobs: readonly CopiedBlob[]): void {
    for (const blob of blobs) this.#arrived.delete(keyOf(target, blob))
  }

  async #copy(source: Repository, target: Repository, { digest, size }: CopiedBlob): Promise<BlobOutcome> {
    const isNeighbour = source.options.client.origin.origin === target.options.client.origin.origin
    if (isNeighbour && source.options.name !== target.options.name)
      if (await isMounted(source, target, digest)) return 'mounted'
    if (await hasBlob(target, digest)) return 'present'
    const bytes = readBlob(source, digest, size)
    const chunks = this.#chunkBytes === undefined ? {} : { chunkBytes: this.#chunkBytes }
    await uploadBlob(target, { digest, size, bytes, ...chunks })
    return 'uploaded'
  }
}

/** The robot that may push may lack the right to read the source. Then another robot reads it. */
const isMounted = async (
  source: Repository,
  target: Repository,
  digest: CopiedBlob['digest'],
): Promise<boolean> => {
  try {
    return await mountBlob(target, digest, source.options.name)
  } catch (error) {
    if (error instanceof RegistryFailure && error.kind === 'refused') return false
    throw error
  }
}
