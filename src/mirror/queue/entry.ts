/**
 * One copy in the queue: its state, and how a failure changes it.
 */
import { backoffMs, type Backoff } from '../../concurrency/backoff.ts'
import { PermitLost, RegistryFailure } from '../registry/failure.ts'
import type { CopyState, CopyStatus, QueuedCopy } from './queued-copy.ts'

export interface RetryRules {
  readonly backoff: Backoff
  /** Failures until a copy is dead. `refused`: of those that somebody has to do something about. */
  readonly maxFailures: { readonly refused: number; readonly other: number }
  /** From 0 to below 1. */
  readonly random: () => number
}

/** A registry that fails has minutes to come back. A broken image waits for a person anyway. */
export const defaultRetryRules: RetryRules = {
  backoff: { firstMs: 5000, longestMs: 600_000 },
  maxFailures: { refused: 3, other: 12 },
  random: Math.random,
}

export class Entry {
  copy: QueuedCopy
  state: CopyState = 'waiting'
  failures = 0
  lastError: string | undefined
  nextTryAt: number | undefined
  /** Another digest of the source, which came while this one was being copied. */
  next: QueuedCopy | undefined

  constructor(copy: QueuedCopy) {
    this.copy = copy
  }

  status(): CopyStatus {
    const { copy, state, failures, lastError, nextTryAt } = this
    return { ...copy, state, failures, lastError, nextTryAt }
  }

  /** Begins again with another digest. */
  replace(copy: QueuedCopy): void {
    this.copy = copy
    this.failures = 0
    this.lastError = undefined
    this.#set('waiting', undefined)
  }

  begin(): void {
    this.#set('copying', undefined)
  }

  /** Is due at once, whatever it was. */
  wake(): void {
    if (this.state === 'dead') this.failures = 0
    this.#set('waiting', undefined)
  }

  /** @param now milliseconds of the clock */
  fail(error: unknown, now: number, { backoff, maxFailures, random }: RetryRules): void {
    this.lastError = sentenceOf(error)
    // Nothing is wrong with the image where another replica goes on.
    if (!(error instanceof PermitLost)) this.failures += 1
    const isRefused = error instanceof RegistryFailure && error.kind === 'refused'
    const isDead = this.failures >= (isRefused ? maxFailures.refused : maxFailures.other)
    if (isDead) this.#set('dead', undefined)
    else this.#set('backing off', now + backoffMs(Math.max(0, this.failures - 1), backoff, random))
  }

  #set(state: CopyState, nextTryAt: number | undefined): void {
    this.state = state
    this.nextTryAt = nextTryAt
  }
}

const sentenceOf = (error: unknown): string =>
  error instanceof RegistryFailure || error instanceof PermitLost
    ? error.message
    : `unexpected: ${(error as Error).message}`
