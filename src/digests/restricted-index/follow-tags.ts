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
  /**
   * Whether upstream answers other requests now. Called for a tag that fails repeatedly, if no other tag was answered meanwhile. Attack: one
   * broken tag, when all others are known already, would hold up the index for ever.
   */
  readonly isAnswering?: (() => Promise<boolean>) | undefined
  /** Called for a tag, or a manifest below it, that is skipped: what it names is not known. */
  readonly onUnread?: ((reference: QciTag | Digest) => void) | undefined
  /** Called for each tag that was followed, or that upstream does not have any more. */
  readonly onFollowed?: (() => void) | undefined
  readonly retryMs?: number | undefined
  /** A reference is skipped after its first failure. Otherwise it has at least `maxTries`. */
  readonly isTriedOnce?: boolean | undefined
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
export const followTags = async (
  tags: AsyncIterable<QciTag | Digest>,
  options: FollowTagsOptions,
): Promise<void> => {
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
  { fetch, signal, onFailure, onUnread, isAnswering, isTriedOnce = false, retryMs = 1000 }: FollowTagsOptions,
  answers: Answers,
): Promise<Digest | undefined> => {
  const before = answers.count
  const isSkipped = async (): Promise<boolean> => {
    if (isTriedOnce || answers.count !== before) return true
    return (await isAnswering?.().catch(() => false)) === true
  }
  const tries = isTriedOnce ? 1 : maxTries
  for (let failures = 0; failures < tries || !(await isSkipped()); failures++) {
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
  onUnread?.(reference)
  return undefined
}
