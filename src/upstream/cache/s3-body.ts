/**
 * The body of a blob from S3. If S3 breaks off, stalls or is too slow, the body continues at the same byte: once more from S3, then from
 * upstream. Chunks are passed on without a copy.
 */
import type { Body, Sink } from '../../oci/image-source.ts'
import type { Stretch } from './requested-ranges.ts'
import { S3Pace } from './s3-pace.ts'

export interface S3BodyOptions {
  /** The body of the answer of S3. */
  readonly first: Body
  readonly stretch: Stretch
  /** Opens the rest from S3; undefined if S3 cannot send it now. */
  readonly reopen: (rest: Stretch) => Promise<Body | undefined>
  /** Opens the rest from upstream. */
  readonly openRest: (rest: Stretch) => Promise<Body>
  readonly signal: AbortSignal | undefined
  /** Called once: the bytes from S3, and whether upstream has to send the rest. */
  readonly onEnd: (bytes: number, isBroken: boolean) => void
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** If the connection broke by chance, the next one most probably does not break. */
const maxBodies = 2

export const createS3Body = (options: S3BodyOptions): Body => {
  const reading = new S3Reading(options)
  return {
    pipeTo: async (sink) => await reading.pipeTo(sink),
    discard: async () => await reading.discard(),
  }
}

class S3Reading {
  readonly #options: S3BodyOptions
  #at: number
  #hasSinkFailed = false

  constructor(options: S3BodyOptions) {
    this.#options = options
    this.#at = options.stretch.start
  }

  async pipeTo(sink: Sink): Promise<void> {
    const { stretch, openRest, onEnd } = this.#options
    let isBroken = true
    try {
      isBroken = !(await this.#pipeFromS3(sink))
    } finally {
      onEnd(this.#at - stretch.start, isBroken && !this.#isUnwanted())
    }
    if (isBroken) await (await openRest({ start: this.#at, end: stretch.end })).pipeTo(sink)
  }

  async discard(): Promise<void> {
    this.#options.onEnd(0, false)
    await this.#options.first.discard()
  }

  /** @returns false if S3 cannot send the rest. @throws the error of the sink; the error of an aborted body */
  async #pipeFromS3(sink: Sink): Promise<boolean> {
    const { first, stretch, reopen } = this.#options
    let body: Body | undefined = first
    for (let bodies = 1; ; bodies++) {
      const error: unknown = await body.pipeTo(this.#counting(sink)).catch((failure: unknown) => failure)
      if (this.#at === stretch.end) return true
      if (this.#isUnwanted()) throw error
      if (error instanceof TooSlow || bodies === maxBodies) return false
      body = await reopen({ start: this.#at, end: stretch.end })
      if (body === undefined) return false
    }
  }

  #isUnwanted(): boolean {
    return this.#hasSinkFailed || this.#options.signal?.aborted === true
  }

  #counting(sink: Sink): Sink {
    const pace = new S3Pace(this.#options.now)
    return (chunk, release) => {
      if (!pace.received(chunk.length)) throw new TooSlow()
      try {
        sink(chunk, () => {
          pace.released()
          release()
        })
      } catch (error) {
        this.#hasSinkFailed = true
        throw error
      }
      this.#at += chunk.length
    }
  }
}

class TooSlow extends Error {}
