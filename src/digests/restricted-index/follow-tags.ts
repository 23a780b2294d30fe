/**
 * From tags to facts: each tag is resolved at upstream, with every manifest below it, so that its layers are known too. A few at a time.
 * While upstream answers nothing, nothing is passed over. One that fails again and again while others are answered is, until the next
 * round: a broken manifest must not keep all that come after it from being known.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs } from '../../concurrency/backoff.ts'
import type { Digest, QciTag } from '../../reference.ts'

export interface FollowTagsOptions {
  /** Fetches a manifest, which makes its facts. @returns its digest; undefined where upstream has none */
  readonly fetch: (reference: QciTag | Digest) => Promise<Digest | undefined>
  /** The manifests that a manifest names; undefined where it was not fetched yet. */
  readonly manifestsOf: (digest: Digest) => readonly Digest[] | undefined
  readonly signal: AbortSignal
  /** Told of each failure. */
  readonly onFailure: (reference: QciTag | Digest, error: unknown) => void
  /** Told of each tag that has been followed, or is gone. */
  readonly onFollowed?: (() => void) | undefined
  readonly retryMs?: number
}

/** Quay grants 50 manifests a second; each takes a tenth of one. */
const concurrency = 8
/** Levels of indexes below a tag. */
export const maxDepth = 4
const maxRetryMs = 60_000
const maxTries = 8

/** What all workers see of upstream. */
interface Answers {
  count: number
}

/** Resolves once every tag was followed; rejects when `signal` aborts, or where the tags cannot be told. */
export const followTags = async (tags: AsyncIterable<QciTag>, options: FollowTagsOptions): Promise<void> => {
  const waiting = tags[Symbol.asyncIterator]()
  const answers: Answers = { count: 0 }
  const worker = async () => {
    // One iterator for all workers: each takes the next tag.
    for await (const tag of { [Symbol.asyncIterator]: () => waiting }) {
      await follow(tag, options, maxDepth, answers)
      options.onFollowed?.()
    }
  }
  // Waits for all of them: workers that stayed behind would go on beside those of the next round.
  const results = await Promise.allSettled(Array.from({ length: concurrency }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

const follow = async (
  reference: QciTag | Digest,
  options: FollowTagsOptions,
  depth: number,
  answers: Answers,
): Promise<void> => {
  const digest = await untilAnswered(reference, options, answers)
  if (digest === undefined || depth === 0) return
  for (const child of options.manifestsOf(digest) ?? [])
    if (options.manifestsOf(child) === undefined) await follow(child, options, depth - 1, answers)
}

const untilAnswered = async (
  reference: QciTag | Digest,
  { fetch, signal, onFailure, retryMs = 1000 }: FollowTagsOptions,
  answers: Answers,
): Promise<Digest | undefined> => {
  const before = answers.count
  for (let failures = 0; failures < maxTries || answers.count === before; failures++) {
    signal.throwIfAborted()
    try {
      const digest = await fetch(reference)
      answers.count += 1
      return digest
    } catch (error) {
      signal.throwIfAborted()
      onFailure(reference, error)
    }
    await sleep(backoffMs(failures, { firstMs: retryMs, longestMs: maxRetryMs }), undefined, { signal })
  }
  return undefined
}
