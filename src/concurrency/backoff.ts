/**
 * Exponential backoff with jitter: how long to wait before a retry.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "equal jitter"
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds after the first failure. Each further failure doubles them, up to the longest. */
export interface Backoff {
  readonly firstMs: number
  readonly longestMs: number
}

/** @param failures before this one. @param random from 0 to below 1. @returns milliseconds */
export const backoffMs = (
  failures: number,
  { firstMs, longestMs }: Backoff,
  random: () => number = Math.random,
): number => jittered(Math.min(firstMs * 2 ** failures, longestMs), random)

/** Between half and all of it, so that callers that failed together do not retry together. */
export const jittered = (ms: number, random: () => number = Math.random): number => ms * (0.5 + random() / 2)

/** Ends early if the signal is aborted. Never rejects. */
export const pause = async (ms: number, signal: AbortSignal | undefined): Promise<void> => {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
}
