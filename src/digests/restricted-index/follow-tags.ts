/**
 * Resolves tags at upstream, with every manifest below them, so that their layers are known as well; a few tags at a time. A tag that fails
 * while upstream answers others is put off, because a broken manifest must not hold up the tags after it, and skipped at a deadline. While
 * upstream answers nothing, no tag is skipped: the run waits, and fails at the same deadline.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs } from '../../concurrency/backoff.ts'
import type { Digest, QciTag } from '../../oci/reference.ts'

export interface FollowTagsOptions {
  /** Fetches a manifest and records its facts. @returns its digest; undefined if upstream has none */
  readonly fetch: (reference: QciTag | Digest) => Promise<Digest | undefined>
  /** The manifests among the children of a manifest; undefined if it was not fetched yet. */
  readonly manifestsOf: (digest: Digest) => readonly Digest[] | undefined
  readonly signal: AbortSignal
  /** Called for each failure. */
  readonly onFailure: (reference: QciTag | Digest, error: unknown) => void
  /**
   * Whether upstream answers other requests now; undefined if there is no other tag to find that out with. Called for a tag that fails, if no
   * other tag was answered meanwhile. Attack: a few hundred broken tags, when all others are known already, or none is, would hold up the
   * index for ever.
   */
  readonly isAnswering: () => Promise<boolean | undefined>
  /** Called for a tag, or a manifest below it, that is skipped: what it names is not known. */
  readonly onUnread?: ((reference: QciTag | Digest) => void) | undefined
  /** Called for each tag that was followed, or skipped, or that upstream does not have any more. */
  readonly onFollowed?: (() => void) | undefined
  readonly retryMs?: number | undefined
  /** A reference is skipped after its first failure. Otherwise it has at least two tries. */
  readonly isTriedOnce?: boolean | undefined
  /** Milliseconds for which failing tags are tried again while others are answered, and for which upstream may answer nothing. */
  readonly deadlineMs?: number | undefined
}

interface Step {
  readonly reference: QciTag | Digest
  /** Levels of manifests below it that are followed. */
  readonly depth: number
}

interface Answer {
  /** Undefined if upstream has no such manifest. */
  readonly digest: Digest | undefined
}

/** Quay grants 50 manifests a second; each takes a tenth of a second. */
const concurrency = 8
/** Levels of indexes below a tag. */
export const maxDepth = 4
const maxRetryMs = 15_000
const maxTries = 8
const defaultDeadlineMs = 60_000
/** Tags that are put off while there is no other tag: the next pages of the list may have one. */
const maxUnproven = 1000

/** Resolves when every tag was followed; rejects when `signal` aborts, if the tags cannot be read, or if upstream answers nothing. */
export const followTags = async (
  tags: AsyncIterable<QciTag | Digest>,
  options: FollowTagsOptions,
): Promise<void> => await new FollowRun(options).run(tags)

class FollowRun {
  readonly #options: FollowTagsOptions
  readonly #deadlineMs: number
  /** Answers of upstream to all workers, and when the last one came. */
  #answers = 0
  #answeredAt = performance.now()
  /** References that failed while others were answered, and until when they are tried again. */
  #putOff: Step[] = []
  #skipAt = Infinity
  #probing: Promise<boolean | undefined> | undefined

  constructor(options: FollowTagsOptions) {
    this.#options = options
    this.#deadlineMs = options.deadlineMs ?? defaultDeadlineMs
  }

  async run(tags: AsyncIterable<QciTag | Digest>): Promise<void> {
    await this.#followAll(stepsOf(tags))
    for (let tries = 1; this.#putOff.length > 0; tries++) {
      const isOver = tries >= maxTries || (tries > 1 && performance.now() >= this.#skipAt)
      if (isOver) return await this.#skipAll()
      await this.#pause(tries - 1)
      await this.#followAll(iterate(this.#putOff.splice(0)))
    }
  }

  /** @throws {Error} if nothing shows that upstream answers */
  async #skipAll(): Promise<void> {
    if ((await this.#isAnswering()) !== true) throw new Error('upstream gives no manifest')
    for (const step of this.#putOff.splice(0)) this.#skip(step)
  }

  async #followAll(steps: AsyncIterable<Step>): Promise<void> {
    const waiting = steps[Symbol.asyncIterator]()
    const worker = async () => {
      // One iterator for all workers: each takes the next step.
      for await (const step of { [Symbol.asyncIterator]: () => waiting }) await this.#follow(step)
    }
    // Waits for all workers: otherwise some would run at the same time as those of the next round.
    const results = await Promise.allSettled(Array.from({ length: concurrency }, worker))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async #follow(step: Step): Promise<void> {
    const { manifestsOf } = this.#options
    const fetched = await this.#untilAnswered(step)
    if (fetched === undefined) return
    if (fetched.digest !== undefined && step.depth > 0)
      for (const child of manifestsOf(fetched.digest) ?? [])
        if (manifestsOf(child) === undefined) await this.#follow({ reference: child, depth: step.depth - 1 })
    this.#end(step)
  }

  /** @returns undefined for a reference that was put off or skipped */
  async #untilAnswered(step: Step, failures = 0): Promise<Answer | undefined> {
    const before = this.#answers
    const answer = await this.#fetch(step)
    if (!('error' in answer)) return answer
    if (this.#options.isTriedOnce === true) return this.#skip(step)
    if (await this.#mayPutOff(before)) return this.#putOffStep(step)
    if (performance.now() - this.#answeredAt >= this.#deadlineMs) throw answer.error
    await this.#pause(failures)
    return await this.#untilAnswered(step, failures + 1)
  }

  async #fetch({ reference }: Step): Promise<Answer | { readonly error: unknown }> {
    const { fetch, signal, onFailure } = this.#options
    signal.throwIfAborted()
    try {
      const digest = await fetch(reference)
      this.#noteAnswer()
      return { digest }
    } catch (error) {
      signal.throwIfAborted()
      onFailure(reference, error)
      return { error }
    }
  }

  async #mayPutOff(answersBefore: number): Promise<boolean> {
    if (this.#answers !== answersBefore) return true
    return (await this.#isAnswering()) ?? this.#putOff.length < maxUnproven
  }

  async #isAnswering(): Promise<boolean | undefined> {
    this.#probing ??= this.#probe().finally(() => (this.#probing = undefined))
    return await this.#probing
  }

  async #probe(): Promise<boolean | undefined> {
    const isAnswering = await this.#options.isAnswering().catch(() => false)
    if (isAnswering === true) this.#noteAnswer()
    return isAnswering
  }

  #noteAnswer(): void {
    this.#answers += 1
    this.#answeredAt = performance.now()
  }

  #putOffStep(step: Step): undefined {
    this.#skipAt = Math.min(this.#skipAt, performance.now() + this.#deadlineMs)
    this.#putOff.push(step)
    return undefined
  }

  #skip(step: Step): undefined {
    this.#options.onUnread?.(step.reference)
    this.#end(step)
    return undefined
  }

  #end({ depth }: Step): void {
    if (depth === maxDepth) this.#options.onFollowed?.()
  }

  async #pause(failures: number): Promise<void> {
    const { signal, retryMs = 1000 } = this.#options
    await sleep(backoffMs(failures, { firstMs: retryMs, longestMs: maxRetryMs }), undefined, { signal })
  }
}

async function* stepsOf(tags: AsyncIterable<QciTag | Digest>): AsyncGenerator<Step> {
  for await (const reference of tags) yield { reference, depth: maxDepth }
}

async function* iterate<Value>(values: Iterable<Value>): AsyncGenerator<Value> {
  yield* values
}
