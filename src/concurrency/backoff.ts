/**
 * Exponential backoff with jitter: how long to wait before something that failed is tried again.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "equal jitter"
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds after a first failure, doubled with each further one up to the longest. */
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

/** Between half of it and all of it: those who failed together do not come back together. */
export const jittered = (ms: number, random: () => number = Math.random): number => ms * (0.5 + random() / 2)

/** Ends early where the signal is aborted. Never rejects. */
export const pause = async (ms: number, signal: AbortSignal | undefined): Promise<void> => {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
}
