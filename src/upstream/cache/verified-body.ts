/**
 * Verifies a whole blob, or the rest of one, that no fill verifies: the client gets its last bytes only if all bytes match the digest. Only
 * the last bytes are copied.
 */
import type { Hash } from 'node:crypto'
import { unavailable, type RegistryError } from '../../oci/errors.ts'
import type { Blob, Body, Sink } from '../../oci/image-source.ts'
import { heldBackBytes } from '../../storage/fill.ts'
import { WrongContent } from '../../storage/fill-outcome.ts'
import { nothingHashed, type HashedPrefix } from '../../storage/marked-hash.ts'

export interface VerifiedBodyOptions {
  /** The body from offset `prefix.at` on. */
  readonly body: Body
  readonly digest: string
  /** The size of the blob in bytes; undefined if it is unknown. */
  readonly size: number | undefined
  /** The hash of the bytes before the body. Unless given, the body is the whole blob. */
  readonly prefix?: HashedPrefix
  /** Bytes that the client has. */
  readonly start?: number
}

/**
 * The answer after wrong bytes: the request is repeated once, if the client has none of them.
 * @param headers of the answer that the client has got
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
 * The body of the repeated request, for a client that has the head of the first answer.
 * @throws {RegistryError} if it has another length, because the client would take a part of it for the whole blob
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

/** `pipeTo` throws {WrongContent} instead of the last bytes, if the bytes do not match the digest. */
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

  /** @throws {WrongContent} if the client has other bytes than those before this chunk */
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

/** Passes on the bytes before an offset. The rest is copied, because the body must not wait for its release. */
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

/** Passes on each chunk when the next one arrives, because only then it is known not to be the last one. */
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
