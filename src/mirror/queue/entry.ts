/**
 * One copy in the queue: its state, and how a failure changes it.
 */
import { backoffMs, type Backoff } from '../../concurrency/backoff.ts'
import { PermitLost, RegistryFailure } from '../registry/failure.ts'
import type { CopyState, CopyStatus, QueuedCopy } from './queued-copy.ts'

export interface RetryRules {
  readonly backoff: Backoff
  /** A copy is dead after this many failures: `refused` counts the refusals, which need a person; `all` counts failures of every kind. */
  readonly maxFailures: { readonly refused: number; readonly all: number }
  /** From 0 to below 1. */
  readonly random: () => number
}

/** A registry that fails has minutes to come back. A broken image waits for a person anyway. */
export const defaultRetryRules: RetryRules = {
  backoff: { firstMs: 5000, longestMs: 600_000 },
  maxFailures: { refused: 3, all: 12 },
  random: Math.random,
}

export class Entry {
  copy: QueuedCopy
  state: CopyState = 'waiting'
  failures = 0
  #refusals = 0
  lastError: string | undefined
  nextTryAt: number | undefined
  /** A newer digest of the source, which arrived during the copy of this one. */
  next: QueuedCopy | undefined

  constructor(copy: QueuedCopy) {
    this.copy = copy
  }

  status(): CopyStatus {
    const { copy, state, failures, lastError, nextTryAt } = this
    return { ...copy, state, failures, lastError, nextTryAt }
  }

  /** Whether a copy does the same: somebody may have mended a dead copy by another source of the same digest. */
  isOf({ digest, source, owner }: QueuedCopy): boolean {
    const { copy } = this
    return copy.digest === digest && copy.source === source && copy.owner === owner
  }

  /** Starts over with another digest or another source. */
  replace(copy: QueuedCopy): void {
    this.copy = copy
    this.#forgetFailures()
    this.lastError = undefined
    this.#set('waiting', undefined)
  }

  begin(): void {
    this.#set('copying', undefined)
  }

  /** Makes the copy due now, whatever its state is. */
  wake(): void {
    if (this.state === 'dead') this.#forgetFailures()
    this.#set('waiting', undefined)
  }

  /** @param now milliseconds of the clock */
  fail(error: unknown, now: number, { backoff, maxFailures, random }: RetryRules): void {
    this.lastError = sentenceOf(error)
    // A lost lease is not a failure of the image: another replica continues.
    if (!(error instanceof PermitLost)) this.failures += 1
    if (error instanceof RegistryFailure && error.kind === 'refused') this.#refusals += 1
    if (this.#refusals >= maxFailures.refused || this.failures >= maxFailures.all)
      this.#set('dead', undefined)
    else this.#set('backing off', now + backoffMs(Math.max(0, this.failures - 1), backoff, random))
  }

  #forgetFailures(): void {
    this.failures = 0
    this.#refusals = 0
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
