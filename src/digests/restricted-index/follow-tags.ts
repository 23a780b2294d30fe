/**
 * From tags to facts: each tag is resolved at upstream, with every manifest below it, so that its layers are known too. A few at a time;
 * a tag that upstream does not give is tried again, and not passed over.
 */
import { setTimeout as sleep } from 'node:timers/promises'
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
const maxDepth = 4
const maxRetryMs = 60_000

/** Resolves once every tag was followed; rejects when `signal` aborts, or where the tags cannot be told. */
export const followTags = async (tags: AsyncIterable<QciTag>, options: FollowTagsOptions): Promise<void> => {
  const waiting = tags[Symbol.asyncIterator]()
  const worker = async () => {
    // One iterator for all workers: each takes the next tag.
    for await (const tag of { [Symbol.asyncIterator]: () => waiting }) {
      await follow(tag, options, maxDepth)
      options.onFollowed?.()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

const follow = async (
  reference: QciTag | Digest,
  options: FollowTagsOptions,
  depth: number,
): Promise<void> => {
  const digest = await untilAnswered(reference, options)
  if (digest === undefined || depth === 0) return
  for (const child of options.manifestsOf(digest) ?? [])
    if (options.manifestsOf(child) === undefined) await follow(child, options, depth - 1)
}

const untilAnswered = async (
  reference: QciTag | Digest,
  { fetch, signal, onFailure, retryMs = 1000 }: FollowTagsOptions,
): Promise<Digest | undefined> => {
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted()
    try {
      return await fetch(reference)
    } catch (error) {
      signal.throwIfAborted()
      onFailure(reference, error)
    }
    await sleep(Math.min(retryMs * 2 ** failures, maxRetryMs) * (0.5 + Math.random() / 2), undefined, {
      signal,
    })
  }
}
