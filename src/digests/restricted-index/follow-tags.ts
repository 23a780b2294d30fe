/**
 * Resolves tags at upstream, with every manifest below them, so that their layers are known as well; a few tags at a time. While upstream
 * answers no request, no tag is skipped. A tag that fails repeatedly while others are answered is skipped until the next round, because a
 * broken manifest must not block the tags after it.
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
  /** Called for each tag that was followed, or that upstream does not have any more. */
  readonly onFollowed?: (() => void) | undefined
  readonly retryMs?: number
}

/** Quay grants 50 manifests a second; each takes a tenth of a second. */
const concurrency = 8
/** Levels of indexes below a tag. */
export const maxDepth = 4
const maxRetryMs = 60_000
const maxTries = 8

/** The answers of upstream to all workers. */
interface Answers {
  count: number
}

/** Resolves when every tag was followed; rejects when `signal` aborts, or if the tags cannot be read. */
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
  // Waits for all workers: otherwise some would run at the same time as those of the next round.
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
