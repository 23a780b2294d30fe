/**
 * A whole blob, or the rest of one, that no fill verifies: its last bytes go to the client only if all bytes are those of the digest. Only
 * those last bytes are copied.
 */
import type { Hash } from 'node:crypto'
import { unavailable, type RegistryError } from '../../oci/errors.ts'
import type { Blob, Body, Sink } from '../../oci/image-source.ts'
import { heldBackBytes } from '../../storage/fill.ts'
import { WrongContent } from '../../storage/fill-outcome.ts'
import { nothingHashed, type HashedPrefix } from '../../storage/marked-hash.ts'

export interface VerifiedBodyOptions {
  /** The bytes from `prefix.at` on. */
  readonly body: Body
  readonly digest: string
  /** Bytes of the blob; undefined if nobody has said them. */
  readonly size: number | undefined
  /** What is known of the bytes before the body; the body is the whole blob unless given. */
  readonly prefix?: HashedPrefix
  /** Bytes that the client has. */
  readonly start?: number
}

/**
 * What a client gets of wrong bytes: the same request once more, if it has none of them.
 * @param headers of the answer that the client has
 * @param again undefined if that was tried
 */
export const repeatingWrong = (
  body: Body,
  headers: Blob['headers'],
  again: (() => Promise<Blob>) | undefined,
): Body => ({
  pipeTo: async (sink) => {
    let hasBytes = false
    try {
      await body.pipeTo((chunk, release) => {
        hasBytes = true
        sink(chunk, release)
      })
    } catch (error) {
      if (!(error instanceof WrongContent)) throw error
      if (hasBytes || again === undefined) throw wrongContent(error)
      await (await repeated(again, headers, error)).pipeTo(sink)
    }
  },
  discard: async () => await body.discard(),
})

/**
 * The body of a second answer, for a client that has the head of the first one.
 * @throws {RegistryError} if it is of another length: the client would take a part of it for the whole
 */
export const repeated = async (
  again: () => Promise<Blob>,
  headers: Blob['headers'],
  cause: WrongContent,
): Promise<Body> => {
  const second = await again()
  const isSame = ['content-length', 'content-range'].every((name) => second.headers[name] === headers[name])
  if (second.body !== undefined && isSame) return second.body
  await second.body?.discard()
  throw wrongContent(cause)
}

export const wrongContent = (cause: unknown): RegistryError =>
  unavailable('the upstream registry sent a blob that is not the one of its digest; try again', cause)

/** `pipeTo` throws {WrongContent} instead of the last bytes, if the digest is another one. */
export const createVerifiedBody = ({
  body,
  digest,
  size,
  prefix = nothingHashed(digest),
  start = 0,
}: VerifiedBodyOptions): Body => ({
  pipeTo: async (sink) => {
    const hash = new CheckedHash(prefix)
    const holding =
      size === undefined ? new DelayingSink(sink) : new HoldingSink(sink, size, prefix.at, start)
    await body.pipeTo((chunk, release) => {
      hash.update(chunk)
      holding.take(chunk, release)
    })
    if (!hash.isOf(digest)) throw new WrongContent('the bytes are not those of the digest')
    holding.letGo()
  },
  discard: async () => await body.discard(),
})

class CheckedHash {
  readonly #hash: Hash
  #at: number
  #check: HashedPrefix['check']

  constructor({ hash, at, check }: HashedPrefix) {
    this.#hash = hash
    this.#at = at
    this.#check = check
  }

  /** @throws {WrongContent} if the bytes that the client has are others than those before this chunk */
  update(chunk: Buffer): void {
    const check = this.#check
    const before = check === undefined ? chunk.length : Math.min(chunk.length, check.until - this.#at)
    this.#hash.update(chunk.subarray(0, before))
    this.#at += chunk.length
    if (check === undefined || this.#at < check.until) return
    this.#check = undefined
    if (this.#hash.copy().digest('hex') !== check.hex)
      throw new WrongContent('upstream sends other bytes than those that the client has')
    this.#hash.update(chunk.subarray(before))
  }

  isOf(digest: string): boolean {
    return this.#check === undefined && digest.endsWith(`:${this.#hash.digest('hex')}`)
  }
}

/** Hands over what comes before an offset. The rest is copied, since the body must not wait for its release. */
class HoldingSink {
  readonly #sink: Sink
  readonly #heldFrom: number
  readonly #start: number
  readonly #held: Buffer[] = []
  #at: number

  /**
   * @param at offset of the first byte that comes
   * @param start offset of the first byte that the client gets
   */
  constructor(sink: Sink, size: number, at: number, start: number) {
    this.#sink = sink
    this.#heldFrom = Math.max(start, size - heldBackBytes)
    this.#start = start
    this.#at = at
  }

  take(chunk: Buffer, release: () => void): void {
    const from = Math.max(0, Math.min(chunk.length, this.#start - this.#at))
    const open = Math.max(from, Math.min(chunk.length, this.#heldFrom - this.#at))
    this.#at += chunk.length
    if (open < chunk.length) this.#held.push(Buffer.from(chunk.subarray(open)))
    if (open === from) return release()
    return this.#sink(chunk.subarray(from, open), release)
  }

  letGo(): void {
    for (const chunk of this.#held) this.#sink(chunk, () => undefined)
  }
}

/** Hands over each chunk when the next one is there: nobody knows which one is the last. */
class DelayingSink {
  readonly #sink: Sink
  #held: Buffer | undefined

  constructor(sink: Sink) {
    this.#sink = sink
  }

  take(chunk: Buffer, release: () => void): void {
    if (chunk.length === 0) return release()
    const earlier = this.#held
    this.#held = Buffer.from(chunk)
    if (earlier === undefined) return release()
    return this.#sink(earlier, release)
  }

  letGo(): void {
    if (this.#held !== undefined) this.#sink(this.#held, () => undefined)
  }
}
