/**
 * A whole blob that no fill verifies: its last bytes go to the client only if all bytes are those of the digest. Only those last bytes are copied.
 */
import { createHash } from 'node:crypto'
import type { Body, Sink } from '../../oci/image-source.ts'
import { heldBackBytes } from '../../storage/fill.ts'
import { WrongContent } from '../../storage/fill-outcome.ts'

export interface VerifiedBodyOptions {
  readonly body: Body
  readonly digest: string
  /** Bytes of the blob. */
  readonly size: number
}

/** `pipeTo` throws {WrongContent} instead of the last bytes, if the digest is another one. */
export const createVerifiedBody = ({ body, digest, size }: VerifiedBodyOptions): Body => ({
  pipeTo: async (sink) => {
    const [algorithm = '', hex] = digest.split(':')
    const hash = createHash(algorithm)
    const holding = new HoldingSink(sink, Math.max(0, size - heldBackBytes))
    await body.pipeTo((chunk, release) => {
      hash.update(chunk)
      holding.take(chunk, release)
    })
    if (hash.digest('hex') !== hex) throw new WrongContent('the bytes are not those of the digest')
    holding.letGo()
  },
  discard: async () => await body.discard(),
})

/** Hands over what comes before an offset. The rest is copied, since the body must not wait for its release. */
class HoldingSink {
  readonly #sink: Sink
  readonly #heldFrom: number
  readonly #held: Buffer[] = []
  #at = 0

  constructor(sink: Sink, heldFrom: number) {
    this.#sink = sink
    this.#heldFrom = heldFrom
  }

  take(chunk: Buffer, release: () => void): void {
    const open = Math.max(0, Math.min(chunk.length, this.#heldFrom - this.#at))
    this.#at += chunk.length
    if (open < chunk.length) this.#held.push(Buffer.from(chunk.subarray(open)))
    if (open === 0) return release()
    return this.#sink(chunk.subarray(0, open), release)
  }

  letGo(): void {
    for (const chunk of this.#held) this.#sink(chunk, () => undefined)
  }
}
