/**
 * Keeps a session with the store: opens one, and another when it has ended, with a growing pause; and says in which state that is.
 */
import { backoffMs, pause } from '../concurrency/backoff.ts'
import type { SharedStatus } from './shared-state.ts'
import { openSession, type Session } from './session.ts'
import type { StoreAddress } from './store-client.ts'
import { reasonOf, StoreUnavailable } from './store-errors.ts'

export interface StoreConnectionOptions {
  readonly address: StoreAddress
  /** What is to be done with each session first; the store counts as connected after it. */
  readonly onSession: (session: Session) => Promise<void>
  /** Called when state or reason are others than before. */
  readonly onChange: () => void
  readonly now: () => number
}

const backoff = { firstMs: 100, longestMs: 5000 }

export class StoreConnection {
  readonly #options: StoreConnectionOptions
  readonly #closing = new AbortController()
  #session: Session | undefined
  #isSlow = false
  #state: 'connected' | 'away' = 'away'
  #since: number
  #reason: string | undefined = 'not connected yet'
  #running: Promise<void> = Promise.resolve()

  constructor(options: StoreConnectionOptions) {
    this.#options = options
    this.#since = options.now()
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#session?.end(new StoreUnavailable('closed'))
    await this.#running
  }

  /** @throws {StoreUnavailable} where there is none */
  session(): Session {
    if (this.#session === undefined) throw new StoreUnavailable('the store is away')
    return this.#session
  }

  /** Whether a request may wait for the store. */
  isUp(): boolean {
    return this.#state === 'connected'
  }

  status(): Pick<SharedStatus, 'state' | 'sinceMs' | 'reason'> {
    return {
      state: this.#state,
      sinceMs: this.#options.now() - this.#since,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    }
  }

  /** @param reason why a connected store takes no writes; undefined where it does */
  setWrites(reason: string | undefined): void {
    if (this.#state === 'connected') this.#set('connected', reason)
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    let failures = 0
    while (!signal.aborted) {
      const error = await this.#live(() => (failures = 0))
      this.#session = undefined
      this.#set('away', reasonOf(error))
      await pause(backoffMs(failures++, backoff), signal)
    }
  }

  /** @returns why it ended */
  async #live(onUp: () => void): Promise<unknown> {
    try {
      const session = await openSession(this.#options.address, (slow) => this.#onSlow(slow))
      this.#session = session
      this.#isSlow = false
      if (this.#closing.signal.aborted) session.end(new StoreUnavailable('closed'))
      try {
        await this.#options.onSession(session)
        onUp()
        if (session.isOpen() && !this.#isSlow) this.#set('connected', undefined)
        return await session.ended
      } finally {
        session.end(new StoreUnavailable('the session is over'))
      }
    } catch (error) {
      return error
    }
  }

  #onSlow(slow: Error | undefined): void {
    if (this.#isSlow === (slow !== undefined)) return
    this.#isSlow = slow !== undefined
    if (slow !== undefined) this.#set('away', slow.message)
    else if (this.#session?.isOpen() === true) this.#set('connected', undefined)
  }

  #set(state: 'connected' | 'away', reason: string | undefined): void {
    if (state === this.#state && reason === this.#reason) return
    if (state !== this.#state) this.#since = this.#options.now()
    this.#state = state
    this.#reason = reason
    this.#options.onChange()
  }
}
