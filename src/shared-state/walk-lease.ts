/**
 * The lease of the replica that walks the restricted index, and the state of the walk. The lease expires in the store. Its holder renews it,
 * and counts it as lost two seconds before the store does, so that two replicas never walk at the same time. A replica without
 * the store walks by itself.
 */
import type { IndexState, SharedIndex } from '../digests/restricted-index/index-state.ts'
import { keys } from './keys.ts'
import { parseIndexState, printIndexState } from './index-state-codec.ts'
import { numberOf, textOf, type Reply } from './reply.ts'
import { leadScript, readIndexScript, releaseScript, writeIndexScript } from './scripts.ts'
import { evalOf } from './session.ts'
import type { Argument } from './store-client.ts'

export interface WalkLeaseOptions {
  /** Name of this replica. */
  readonly origin: string
  /** @throws {Error} if the store does not answer */
  readonly command: (args: readonly Argument[]) => Promise<Reply>
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

const leaseMs = 15_000
const marginMs = 2000

export class WalkLease implements SharedIndex {
  readonly #options: WalkLeaseOptions
  #heldUntil = -Infinity
  /** Not single-flight.ts: there is one key, and no requester. */
  #renewing: Promise<boolean> | undefined

  constructor(options: WalkLeaseOptions) {
    this.#options = options
  }

  readonly read = async (): Promise<IndexState | undefined> => {
    const command = evalOf(
      readIndexScript,
      [keys.index, keys.restrictedTags, keys.restrictedNames, keys.nothing],
      [],
    )
    const reply = await this.#options.command(command).catch(() => null)
    return reply === null ? undefined : parseIndexState(textOf(reply))
  }

  readonly write = async (state: IndexState): Promise<boolean> => {
    const command = evalOf(
      writeIndexScript,
      [keys.lease, keys.index, keys.restrictedTags, keys.restrictedNames],
      [this.#options.origin, printIndexState(state)],
    )
    return (await this.#options.command(command).catch(() => 0)) === 1
  }

  readonly tryLead = async (): Promise<boolean> => {
    if (this.isHeld()) return true
    this.#renewing ??= this.#acquire().finally(() => (this.#renewing = undefined))
    return await this.#renewing
  }

  isHeld(): boolean {
    return this.#options.now() < this.#heldUntil
  }

  /** To be called every few seconds. */
  async renew(): Promise<void> {
    if (this.isHeld()) await this.#acquire()
  }

  async release(): Promise<void> {
    if (!this.isHeld()) return
    this.#heldUntil = -Infinity
    const command = evalOf(releaseScript, [keys.lease], [this.#options.origin])
    await this.#options.command(command).catch(() => undefined)
  }

  async #acquire(): Promise<boolean> {
    // Counted from before the command, because the store starts to count after it.
    const until = this.#options.now() + leaseMs - marginMs
    try {
      const command = evalOf(leadScript, [keys.lease], [this.#options.origin, String(leaseMs)])
      this.#heldUntil = numberOf(await this.#options.command(command)) === 1 ? until : -Infinity
    } catch {
      // The outcome is unknown: a held lease stays valid until its end, and no longer.
    }
    return this.isHeld()
  }
}
