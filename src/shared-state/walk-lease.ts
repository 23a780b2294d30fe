/**
 * Which replica walks the restricted index, and what the walk has reached. The lease has a life in the store; its holder renews it,
 * and takes it for lost two seconds before the store does, so that two never walk at a time.
 */
import type { IndexState, SharedIndex } from '../digests/restricted-index/index-state.ts'
import { keys } from './keys.ts'
import { parseIndexState, printIndexState } from './index-state.ts'
import { numberOf, textOf, type Reply } from './reply.ts'
import { leadScript, readIndexScript, releaseScript, writeIndexScript } from './scripts.ts'
import { evalOf } from './session.ts'
import type { Argument } from './store-client.ts'

export interface WalkLeaseOptions {
  /** Name of this replica. */
  readonly origin: string
  /** @throws {Error} where the store does not answer */
  readonly command: (args: readonly Argument[]) => Promise<Reply>
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

const leaseMs = 15_000
const marginMs = 2000

export class WalkLease implements SharedIndex {
  readonly #options: WalkLeaseOptions
  #heldUntil = -Infinity
  #asking: Promise<boolean> | undefined

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
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    return await this.#asking
  }

  isHeld(): boolean {
    return this.#options.now() < this.#heldUntil
  }

  /** To be called every few seconds. */
  async renew(): Promise<void> {
    if (this.isHeld()) await this.#ask()
  }

  async release(): Promise<void> {
    if (!this.isHeld()) return
    this.#heldUntil = -Infinity
    const command = evalOf(releaseScript, [keys.lease], [this.#options.origin])
    await this.#options.command(command).catch(() => undefined)
  }

  async #ask(): Promise<boolean> {
    // Counted from before the question: the store began to count after it.
    const until = this.#options.now() + leaseMs - marginMs
    try {
      const command = evalOf(leadScript, [keys.lease], [this.#options.origin, String(leaseMs)])
      this.#heldUntil = numberOf(await this.#options.command(command)) === 1 ? until : -Infinity
    } catch {
      // Nobody knows: what is held goes on to its end, and no longer.
    }
    return this.isHeld()
  }
}
